"""Services."""

from datetime import datetime

from windlass.apimachinery import names
from windlass.apimachinery.checks import ip_address, port
from windlass.apimachinery.field_errors import duplicate, forbidden, immutable, invalid, invalid_each, required
from windlass.apimachinery.schema import Bool, Int, IntOrString, ListOf, MapOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.meta.v1 import Condition
from windlass.errors import FieldError

NONE = "<none>"
PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
MAX_AFFINITY_SECONDS = 86_400
UNROUTED = "spec: Services are stored but not routed by this version: no cluster IP is given out and nothing forwards to it"


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
    ip_families = ListOf("Address families, in order of preference.", Str("IPv4 or IPv6."))
    ip_family_policy = Str("How many families it wants.", enum=("SingleStack", "PreferDualStack", "RequireDualStack"))
    load_balancer_class = Str("Which load balancer serves it.")
    load_balancer_ip = Str("Address asked of the load balancer.", data_key="loadBalancerIP")
    load_balancer_source_ranges = ListOf("Clients that the load balancer lets through.", Str("One CIDR."))
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
    traffic_distribution = Str("Which endpoints are preferred, such as those close by.")
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
    addresses = [one.get("ip") or one.get("hostname") or "" for one in ingress] + list(spec.get("externalIPs") or ())
    return ",".join(addresses) or ("<pending>" if spec.get("type") == "LoadBalancer" else NONE)


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
        spec = obj.setdefault("spec", {"type": "ClusterIP", "sessionAffinity": "None"})
        for one in spec.get("ports") or ():
            one.setdefault("targetPort", one["port"])
        if spec.get("sessionAffinity") == "ClientIP":
            config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            config.setdefault("timeoutSeconds", 10_800)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec.get("type") == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        if spec.get("type") != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
            if spec.get("clusterIP"):
                spec.setdefault("clusterIPs", [spec["clusterIP"]])

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no load balancer."""
        obj["status"] = {"loadBalancer": {}}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check names, ports and what the type allows."""
        spec = _spec(obj)
        name = obj["metadata"].get("name") or ""
        found = invalid_each("metadata.name", name, names.is_dns1035_label(name))
        headless = spec.get("clusterIP") == "None"
        if spec.get("type") == "ExternalName":
            return found + _validate_external_name(spec)
        if not spec.get("ports") and not headless:
            found.append(required("spec.ports"))
        if headless and spec.get("type") in ("NodePort", "LoadBalancer"):
            found.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec['type']} services"))
        address = spec.get("clusterIP") or ""
        if address and not headless:
            found += ip_address(address, "spec.clusterIPs[0]")
        return found + _validate_ports(spec) + _validate_affinity(spec)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the cluster address, unless the type leaves it behind."""
        before, after = _spec(old), _spec(new)
        if before.get("clusterIP") and "ExternalName" not in (before.get("type"), after.get("type")):
            return immutable("spec.clusterIPs[0]", after.get("clusterIP"), before["clusterIP"])
        return []

    def warnings(self, obj: Obj) -> list[str]:  # noqa: ARG002 - true of every Service
        """Say that nothing routes Services yet."""
        return [UNROUTED]

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by address and type."""
        return {"spec.clusterIP": _spec(obj).get("clusterIP", ""), "spec.type": _spec(obj).get("type", "")}


def _validate_external_name(spec: Obj) -> list[FieldError]:
    name = spec.get("externalName") or ""
    if not name:
        return [required("spec.externalName")]
    found = invalid_each("spec.externalName", name, names.is_dns1123_subdomain(name.rstrip(".").lower()))
    if spec.get("clusterIP"):
        found.append(forbidden("spec.clusterIPs[0]", "may not be set for ExternalName services"))
    return found


def _validate_ports(spec: Obj) -> list[FieldError]:
    found: list[FieldError] = []
    ports = spec.get("ports") or []
    seen_names: set[str] = set()
    seen_ports: set[tuple[int, str]] = set()
    for index, one in enumerate(ports):
        path, name = f"spec.ports[{index}]", one.get("name") or ""
        if name:
            found += invalid_each(f"{path}.name", name, names.is_dns1123_label(name))
        elif len(ports) > 1:
            found.append(required(f"{path}.name"))
        if name and name in seen_names:
            found.append(duplicate(f"{path}.name", name))
        pair = (one.get("port", 0), one.get("protocol", "TCP"))
        if pair in seen_ports:
            found.append(duplicate(path, {"port": pair[0], "protocol": pair[1]}))
        seen_names.add(name)
        seen_ports.add(pair)
        found += _validate_target(one, path)
        if one.get("nodePort") and spec.get("type") not in ("NodePort", "LoadBalancer"):
            found.append(forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'"))
    return found


def _validate_target(one: Obj, path: str) -> list[FieldError]:
    target = one.get("targetPort", 1)
    if isinstance(target, str):
        return invalid_each(f"{path}.targetPort", target, names.is_port_name(target))
    return list(port(target, f"{path}.targetPort"))


def _validate_affinity(spec: Obj) -> list[FieldError]:
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    if spec.get("sessionAffinity") != "ClientIP":
        if spec.get("sessionAffinityConfig"):
            return [forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")]
        return []
    seconds = config.get("timeoutSeconds", 1)
    if 0 < seconds <= MAX_AFFINITY_SECONDS:
        return []
    path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    return [invalid(path, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}")]


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
