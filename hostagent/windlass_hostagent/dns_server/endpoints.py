"""A Service's endpoints as names see them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass_hostagent.dns_server.records import dashed

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Port:
    """A named port; an empty name has no SRV record of its own."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address. `host` is its label under the Service: the pod's hostname, else the address with dashes."""

    host: str
    address: str
    ports: tuple[Port, ...]


def ports_of(items: Iterable[Obj] | None) -> tuple[Port, ...]:
    """Read the ports of a Service or an EndpointSlice; one without a number is no port."""
    return tuple(
        Port(str(item.get("name") or "").lower(), str(item.get("protocol") or "TCP").lower(), int(item["port"]))
        for item in items or ()
        if item.get("port")
    )


def endpoints_of(service: Obj, slices: Iterable[Obj]) -> list[Endpoint]:
    """Return the endpoints that names may show: ready ones, or all when the Service publishes them unready."""
    everything = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    found: dict[tuple[str, str], Endpoint] = {}
    for one in slices:
        if one.get("addressType") not in ("IPv4", "IPv6"):
            continue
        ports = ports_of(one.get("ports"))
        for host, address in _addresses(one, everything=everything):
            known = found.get((host, address))
            merged = (*known.ports, *(port for port in ports if port not in known.ports)) if known else ports
            found[host, address] = Endpoint(host, address, merged)
    return list(found.values())


def _addresses(one: Obj, *, everything: bool) -> Iterator[tuple[str, str]]:
    for endpoint in one.get("endpoints") or ():
        ready = (endpoint.get("conditions") or {}).get("ready")
        if ready is False and not everything:
            continue
        for address in endpoint.get("addresses") or ():
            yield str(endpoint.get("hostname") or dashed(address)).lower(), str(address)
