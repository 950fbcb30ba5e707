"""Services."""

from datetime import datetime

from windlass.apimachinery import names
from windlass.apimachinery.checks import cidr, ip_address, port
from windlass.apimachinery.field_errors import invalid_each
from windlass.apimachinery.schema import Bool, Int, IntOrString, ListOf, MapOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.core.v1.service_validation import NODE_PORT_TYPES, validate_cluster_ip_update, validate_service_spec
from windlass.apis.meta.v1 import Condition
from windlass.errors import FieldError

NONE = "<none>"
PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
BALANCER_FIELDS = (
    "allocateLoadBalancerNodePorts",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
)


class ServicePort(CoreSchema):
    """One port of a Service."""

    app_protocol = Str("Protocol above the transport, as a hint.")
    name = Str("Name of the port; needed when there are several.")
    node_port = Int("Port of every node that leads here.", minimum=0, maximum=65535)
    port = Int("Port of the Service.", required=True, checks=(port,))
    protocol = Str("Transport protocol.", default="TCP", enum=PROTOCOLS)
    target_port = IntOrString("Port of the pods, by number or name; the same as `port` when left out.")


class ClientIPConfig(CoreSchema):
    """How long a client stays with its endpoint."""

    timeout_seconds = Int("Seconds after the last use.")


class SessionAffinityConfig(CoreSchema):
    """Details of session affinity."""

    client_ip = Nested("Details of affinity by client address.", ClientIPConfig, data_key="clientIP")


class ServiceSpec(CoreSchema):
    """What is asked of a Service."""

    allocate_load_balancer_node_ports = Bool("Whether a load balancer gets node ports, too.")
    cluster_ip = Str("Address inside the cluster; `None` makes the Service headless.", data_key="clusterIP")
    cluster_ips = ListOf("Addresses inside the cluster, one per family.", Str("One of them."), data_key="clusterIPs")
    external_ips = ListOf("Outside addresses that nodes accept for it.", Str("One of them.", checks=(ip_address,)),
                          data_key="externalIPs")  # fmt: skip
    external_name = Str("Name that the Service is an alias for.")
    external_traffic_policy = Str("Where outside traffic may go.", enum=("Cluster", "Local"))
    health_check_node_port = Int("Port on which nodes say whether they have endpoints.")
    internal_traffic_policy = Str("Where inside traffic may go.", enum=("Cluster", "Local"))
    ip_families = ListOf("Address families, in order of preference.",
                         Str("IPv4 or IPv6.", enum=("IPv4", "IPv6")))  # fmt: skip
    ip_family_policy = Str("How many families it wants.", enum=("SingleStack", "PreferDualStack", "RequireDualStack"))
    load_balancer_class = Str("Which load balancer serves it.")
    load_balancer_ip = Str("Address asked of the load balancer.", data_key="loadBalancerIP")
    load_balancer_source_ranges = ListOf("Clients that the load balancer lets through.",
                                         Str("One CIDR.", checks=(cidr,)))  # fmt: skip
    ports = ListOf(
        "The ports.",
        ServicePort,
        patch_strategy="merge",
        patch_merge_key="port",
        list_type="map",
        list_map_keys=("port", "protocol"),
    )
    publish_not_ready_addresses = Bool("Whether endpoints count before they are ready.")
    selector = MapOf("Labels of the pods behind it.", Str("One value."), map_type="atomic")
    session_affinity = Str("Whether a client stays with its endpoint.", default="None", enum=("ClientIP", "None"))
    session_affinity_config = Nested("Details of session affinity.", SessionAffinityConfig)
    traffic_distribution = Str("Which endpoints are preferred, such as those close by.", enum=("PreferClose",))
    type = Str("How far the Service reaches.", default="ClusterIP", enum=TYPES)


class PortStatus(CoreSchema):
    """What became of one port at a load balancer."""

    error = Str("What went wrong, in one word.")
    port = Int("Number of the port.", required=True)
    protocol = Str("Transport protocol.", required=True)


class LoadBalancerIngress(CoreSchema):
    """One way in."""

    hostname = Str("Host name of the load balancer.")
    ip = Str("Address of the load balancer.")
    ip_mode = Str("Whether packets keep that address on their way.")
    ports = ListOf("What became of each port.", PortStatus)


class LoadBalancerStatus(CoreSchema):
    """Where a load balancer listens."""

    ingress = ListOf("The ways in.", LoadBalancerIngress)


class ServiceStatus(CoreSchema):
    """What is observed of a Service."""

    conditions = ListOf(
        "Observed aspects.",
        Condition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    load_balancer = Nested("Where the load balancer listens.", LoadBalancerStatus)


class Service(CoreObject):
    """A stable name and address for a changing set of pods."""

    spec = Nested("What is asked of the Service.", ServiceSpec)
    status = Nested("What is observed of the Service.", ServiceStatus)


def _spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def _external(obj: Obj, _now: datetime) -> str:
    spec = _spec(obj)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = spec.get("type") == "LoadBalancer"
    addresses = [one.get("ip") or one.get("hostname") or "" for one in ingress] if balanced else []
    return ",".join([*addresses, *(spec.get("externalIPs") or ())]) or ("<pending>" if balanced else NONE)


def _ports(obj: Obj, _now: datetime) -> str:
    listed = [
        f"{one['port']}{':' + str(one['nodePort']) if one.get('nodePort') else ''}/{one.get('protocol', 'TCP')}"
        for one in _spec(obj).get("ports") or ()
    ]
    return ",".join(listed) or NONE


def _selector(obj: Obj, _now: datetime) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((_spec(obj).get("selector") or {}).items())) or NONE


class ServiceStrategy(Strategy):
    """Behaviour of Services."""

    columns = (
        Column("Type", lambda obj, _now: _spec(obj).get("type", ""), description="How far it reaches."),
        Column("Cluster-IP", lambda obj, _now: _spec(obj).get("clusterIP") or NONE, description="Address inside."),
        Column("External-IP", _external, description="Addresses outside."),
        Column("Port(s)", _ports, description="The ports."),
        AGE,
        Column("Selector", _selector, priority=1, description="Labels of the pods behind it."),
    )

    def default(self, obj: Obj) -> None:
        """Fill target ports and what depends on the type."""
        spec = obj.setdefault("spec", {})
        for name, value in (("type", "ClusterIP"), ("sessionAffinity", "None")):
            spec.setdefault(name, value)
        for one in spec.get("ports") or ():
            one["targetPort"] = one.get("targetPort") or one["port"]
        _default_affinity(spec)
        _default_reach(spec)

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no load balancer."""
        obj["status"] = {"loadBalancer": {}}

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep the status and what was given out; drop what only the former type had."""
        super().prepare_for_update(new, old)
        before, after = _spec(old), new.setdefault("spec", {})
        after.setdefault("type", "ClusterIP")
        if "ExternalName" not in (before.get("type"), after["type"]):
            keep_given_out(after, before)
        drop_what_the_type_leaves(after, before)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check names, ports and what the type allows."""
        name = obj["metadata"].get("name") or ""
        return invalid_each("metadata.name", name, names.is_dns1035_label(name)) + validate_service_spec(_spec(obj))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the cluster address, unless the type leaves it behind."""
        return validate_cluster_ip_update(_spec(new), _spec(old))

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by address and type."""
        return {"spec.clusterIP": _spec(obj).get("clusterIP", ""), "spec.type": _spec(obj).get("type", "")}


def _default_affinity(spec: Obj) -> None:
    if spec.get("sessionAffinity") != "ClientIP":
        spec.pop("sessionAffinityConfig", None)
        return
    config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
    config.setdefault("timeoutSeconds", 10_800)


def _default_reach(spec: Obj) -> None:
    if spec["type"] == "ExternalName":
        return
    if spec["type"] in NODE_PORT_TYPES or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])


def keep_given_out(after: Obj, before: Obj) -> None:
    """Carry over addresses and node ports that the update leaves out, as a manifest without them means no change."""
    if not after.get("clusterIP") and before.get("clusterIP"):
        after["clusterIP"] = before["clusterIP"]
        after.setdefault("clusterIPs", before.get("clusterIPs") or [before["clusterIP"]])
    if after.get("type") not in NODE_PORT_TYPES or before.get("type") not in NODE_PORT_TYPES:
        return
    known = {(one["port"], one.get("protocol", "TCP")): one.get("nodePort") for one in before.get("ports") or ()}
    for one in after.get("ports") or ():
        number = known.get((one["port"], one.get("protocol", "TCP")))
        if number and not one.get("nodePort"):
            one["nodePort"] = number


def drop_what_the_type_leaves(after: Obj, before: Obj) -> None:
    """Remove unchanged fields that belonged to the former type; what the update itself sets is left to be refused."""
    if before.get("type") == after["type"]:
        return
    dropped = [] if after["type"] == "LoadBalancer" else list(BALANCER_FIELDS)
    if after["type"] not in NODE_PORT_TYPES:
        dropped += [] if after.get("externalIPs") else ["externalTrafficPolicy"]
        numbers = {one.get("nodePort") for one in before.get("ports") or ()}
        for one in after.get("ports") or ():
            if one.get("nodePort") in numbers:
                one.pop("nodePort", None)
    if after["type"] == "ExternalName":
        dropped += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]
    for name in dropped:
        if name in after and after[name] == before.get(name):
            del after[name]


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="Service",
        plural="services",
        singular="service",
        namespaced=True,
        schema=Service,
        strategy=ServiceStrategy(),
        short_names=("svc",),
        categories=("all",),
        subresources=("status",),
    ),
)
