"""Endpoints: the older, single-object form of EndpointSlices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.checks import dns_label, ip_address, port
from windlass.apimachinery.field_errors import required
from windlass.apimachinery.schema import Int, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.errors import FieldError

NONE = "<none>"
SHOWN = 3
PROTOCOLS = ("TCP", "UDP", "SCTP")


class EndpointAddress(CoreSchema):
    """One address that serves."""

    hostname = Str("Host name of the endpoint.", checks=(dns_label,))
    ip = Str("The address.", required=True, checks=(ip_address,))
    node_name = Str("Node that holds the endpoint.")
    target_ref = Nested("Object behind the endpoint, usually a pod.", ObjectReference)


class EndpointPort(CoreSchema):
    """One port of all addresses of a subset."""

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
        f"{address.get('ip')}:{number.get('port')}"
        for subset in obj.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for number in subset.get("ports") or ()
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
