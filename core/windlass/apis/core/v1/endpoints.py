"""Endpoints: the older, single-object form of EndpointSlices."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address as ip_address_of
from typing import Any

from windlass.apimachinery.checks import dns_label, dns_subdomain, ip_address, port
from windlass.apimachinery.field_errors import invalid, required
from windlass.apimachinery.names import is_ip_address
from windlass.apimachinery.schema import Int, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.errors import FieldError

NONE = "<none>"
SHOWN = 3
PROTOCOLS = ("TCP", "UDP", "SCTP")


def endpoint_ip(value: str, path: str) -> Sequence[FieldError]:
    """Refuse addresses that never lead to a pod or an outside server; malformed ones are another check's business."""
    if is_ip_address(value):
        return ()
    address = ip_address_of(value)
    if address.is_unspecified:
        return [invalid(path, value, f"may not be unspecified ({value})")]
    if address.is_loopback:
        return [invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if address.is_link_local:
        return [invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    return ()


class EndpointAddress(CoreSchema):
    """One address that serves."""

    openapi_map_type = "atomic"

    hostname = Str("Host name of the endpoint.", checks=(dns_label,))
    ip = Str("The address.", required=True, checks=(ip_address, endpoint_ip))
    node_name = Str("Node that holds the endpoint.", checks=(dns_subdomain,))
    target_ref = Nested("Object behind the endpoint, usually a pod.", ObjectReference)


class EndpointPort(CoreSchema):
    """One port of all addresses of a subset."""

    openapi_map_type = "atomic"

    app_protocol = Str("Protocol above the transport, as a hint.")
    name = Str("Name of the port; needed when there are several.", checks=(dns_label,))
    port = Int("Number of the port.", required=True, checks=(port,))
    protocol = Str("Transport protocol.", default="TCP", enum=PROTOCOLS)


class EndpointSubset(CoreSchema):
    """Addresses that share their ports."""

    addresses = ListOf("Addresses that are ready.", EndpointAddress)
    not_ready_addresses = ListOf("Addresses that are not ready yet, or no longer.", EndpointAddress)
    ports = ListOf("Ports of every address.", EndpointPort)


class Endpoints(CoreObject):
    """The addresses behind a Service."""

    subsets = ListOf("The addresses, grouped by their ports.", EndpointSubset)


def _cell(obj: Mapping[str, Any], _now: datetime) -> str:
    pairs = [
        f"{address.get('ip')}:{number.get('port')}" if number else str(address.get("ip"))
        for subset in obj.get("subsets") or ()
        for number in subset.get("ports") or (None,)
        for address in subset.get("addresses") or ()
    ]
    more = f" + {len(pairs) - SHOWN} more..." if len(pairs) > SHOWN else ""
    return ",".join(pairs[:SHOWN]) + more if pairs else NONE


class EndpointsStrategy(Strategy):
    """Behaviour of Endpoints."""

    columns = (Column("Endpoints", _cell, description="The first addresses."), AGE)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Demand an address per subset and names for several ports."""
        found = []
        for index, subset in enumerate(obj.get("subsets") or ()):
            path, ports = f"subsets[{index}]", subset.get("ports") or ()
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                found.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
            if len(ports) > 1:
                found += [required(f"{path}.ports[{n}].name") for n, one in enumerate(ports) if not one.get("name")]
        return found


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="Endpoints",
        plural="endpoints",
        singular="endpoints",
        namespaced=True,
        schema=Endpoints,
        strategy=EndpointsStrategy(),
        short_names=("ep",),
    ),
)
