"""EndpointSlices: the addresses behind a Service, in bounded pieces."""

from collections.abc import Sequence
from datetime import datetime

from windlass.apimachinery.checks import dns_label, dns_subdomain, port
from windlass.apimachinery.field_errors import duplicate, immutable, invalid, invalid_each, required, too_many
from windlass.apimachinery.names import is_dns1123_subdomain, is_ip_address
from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.endpoints import endpoint_ip
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.meta.v1 import ApiObject
from windlass.errors import FieldError

PREFIX = "io.k8s.api.discovery.v1"
MAX_ENDPOINTS = 1000
MAX_PORTS = 20_000
MAX_ADDRESSES = 100
SHOWN = 3


class ForZone(ObjectSchema):
    """A zone that should use an endpoint."""

    openapi_prefix = PREFIX

    name = Str("Name of the zone.", required=True)


class EndpointHints(ObjectSchema):
    """Who should use an endpoint."""

    openapi_prefix = PREFIX

    for_zones = ListOf("Zones that should use it.", ForZone)


class EndpointConditions(ObjectSchema):
    """Whether an endpoint can take traffic."""

    openapi_prefix = PREFIX

    ready = Bool("Whether it takes new connections.")
    serving = Bool("Whether it answers, even while it ends.")
    terminating = Bool("Whether it is ending.")


class Endpoint(ObjectSchema):
    """One endpoint, with an address or several of one family."""

    openapi_prefix = PREFIX

    addresses = ListOf("The addresses.", Str("One of them."), required=True, list_type="set")
    conditions = Nested("Whether it can take traffic.", EndpointConditions)
    deprecated_topology = MapOf("Where it is, in an older form.", Str("One value."))
    hints = Nested("Who should use it.", EndpointHints)
    hostname = Str("Host name of the endpoint.", checks=(dns_label,))
    node_name = Str("Node that holds the endpoint.", checks=(dns_subdomain,))
    target_ref = Nested("Object behind the endpoint, usually a pod.", ObjectReference)
    zone = Str("Zone that it is in.")


class EndpointPort(ObjectSchema):
    """One port of every endpoint of a slice."""

    openapi_prefix = PREFIX
    openapi_map_type = "atomic"

    app_protocol = Str("Protocol above the transport, as a hint.")
    name = Str("Name of the port.", default="", checks=(dns_label,))
    port = Int("Number of the port.", checks=(port,))
    protocol = Str("Transport protocol.", default="TCP", enum=("TCP", "UDP", "SCTP"))


class EndpointSlice(ApiObject):
    """Some of the endpoints behind a Service."""

    openapi_prefix = PREFIX

    address_type = Str("Family of all addresses of the slice.", required=True, enum=("IPv4", "IPv6", "FQDN"))
    endpoints = ListOf("The endpoints.", Endpoint, required=True)
    ports = ListOf("Ports of every endpoint.", EndpointPort)


def _cut(items: list[str]) -> str:
    more = f" + {len(items) - SHOWN} more..." if len(items) > SHOWN else ""
    return ",".join(items[:SHOWN]) + more if items else "<unset>"


def _ports(obj: Obj, _now: datetime) -> str:
    return _cut([str(one.get("port", "*")) for one in obj.get("ports") or ()])


def _endpoints(obj: Obj, _now: datetime) -> str:
    return _cut([address for one in obj.get("endpoints") or () for address in one.get("addresses") or ()])


class EndpointSliceStrategy(Strategy):
    """Behaviour of endpoint slices."""

    has_generation = True
    columns = (
        Column("AddressType", lambda obj, _now: obj.get("addressType", ""), description="Family of the addresses."),
        Column("Ports", _ports, description="The first ports."),
        Column("Endpoints", _endpoints, description="The first addresses."),
        AGE,
    )

    def prepare_for_create(self, obj: Obj) -> None:
        """Slices have no status."""

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Count a change of anything but metadata as a new generation: slices have no spec, and no status."""
        if any(new.get(name) != old.get(name) for name in ("addressType", "endpoints", "ports")):
            new["metadata"]["generation"] = int(old["metadata"].get("generation") or 0) + 1

    def validate(self, obj: Obj) -> list[FieldError]:
        """Bound the slice, and hold addresses to their family and port names to being different."""
        endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
        found = []
        if len(endpoints) > MAX_ENDPOINTS:
            found.append(too_many("endpoints", len(endpoints), MAX_ENDPOINTS))
        if len(ports) > MAX_PORTS:
            found.append(too_many("ports", len(ports), MAX_PORTS))
        seen: set[str] = set()
        for index, one in enumerate(ports):
            if one.get("name", "") in seen:
                found.append(duplicate(f"ports[{index}].name", one.get("name", "")))
            seen.add(one.get("name", ""))
        for index, endpoint in enumerate(endpoints[:MAX_ENDPOINTS]):
            found += _validate_addresses(endpoint, obj.get("addressType", ""), f"endpoints[{index}].addresses")
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the family."""
        return immutable("addressType", new.get("addressType"), old.get("addressType"))


def _validate_addresses(endpoint: Obj, family: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        return [required(path, "must contain at least 1 address")]
    if len(addresses) > MAX_ADDRESSES:
        return [too_many(path, len(addresses), MAX_ADDRESSES)]
    return [
        error for n, address in enumerate(addresses) for error in _validate_address(address, family, f"{path}[{n}]")
    ]


def _validate_address(address: str, family: str, path: str) -> Sequence[FieldError]:
    if family == "FQDN":
        return invalid_each(path, address, is_dns1123_subdomain(address.rstrip(".")))
    if is_ip_address(address) or (":" in address) != (family == "IPv6"):
        return [invalid(path, address, f"must be a valid {family} address")]
    return endpoint_ip(address, path)


KINDS = (
    KindDefinition(
        group="discovery.k8s.io",
        version="v1",
        kind="EndpointSlice",
        plural="endpointslices",
        singular="endpointslice",
        namespaced=True,
        schema=EndpointSlice,
        strategy=EndpointSliceStrategy(),
    ),
)
