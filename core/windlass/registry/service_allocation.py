"""Cluster addresses and node ports for Services: given out before the Service is committed, freed after it has gone."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from windlass.apimachinery.field_errors import invalid as invalid_field
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.errors import FieldError, InternalServerError, UnknownOutcomeError
from windlass.registry.backend import Backend
from windlass.registry.options import RequestContext
from windlass.registry.refusals import invalid
from windlass.registry.reservations import ADDRESSES, NODE_PORTS, Owner, Reservations
from windlass.registry.service_ranges import (
    NODE_PORTS as NODE_PORT_RANGE,
)
from windlass.registry.service_ranges import (
    Network,
    ServiceRanges,
    family_of,
    is_usable,
    offered_addresses,
    offered_node_ports,
)

HEADLESS = "None"
BALANCER = "LoadBalancer"
PORTED_TYPES = ("NodePort", BALANCER)
ADDRESS_TAKEN = "provided IP is already allocated"
PORT_TAKEN = "provided port is already allocated"

Holding = tuple[str, str]
"""A sort of reservation (`clusterips`, `nodeports`) and the value."""


def is_service(kind: KindDefinition) -> bool:
    """Whether the kind is the core group's Service."""
    return kind.kind == "Service" and not kind.group


def holdings(service: Mapping[str, Any] | None) -> set[Holding]:
    """Return everything that a Service holds. Pure."""
    spec = (service or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return set()
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    found = {(ADDRESSES, address) for address in addresses if address and address != HEADLESS}
    found |= {(NODE_PORTS, str(one["nodePort"])) for one in spec.get("ports") or () if one.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        found.add((NODE_PORTS, str(spec["healthCheckNodePort"])))
    return found


@asynccontextmanager
async def allocated(
    backend: Backend, context: RequestContext, kind: KindDefinition, new: Obj | None, old: Obj | None
) -> AsyncIterator[None]:
    """Give `new` its addresses around its commit; None: it is being deleted. Other kinds pass.

    A commit that fails gives back what was taken for it; one with an unknown outcome keeps it, and so does a kill: the
    repair pass decides when it is known. Raises InvalidError for what is taken already or lies outside the ranges.
    """
    if not is_service(kind) or not backend.service_cidrs:
        yield
        return
    allocation = _Allocation(backend, kind, new or old or {}, holdings(old), dry_run=context.dry_run)
    try:
        if new is not None:
            await allocation.fill(new)
        yield
    except UnknownOutcomeError:
        raise
    except Exception:
        await allocation.give_back(allocation.fresh)
        raise
    if not context.dry_run:
        await allocation.give_back(holdings(old) - holdings(new))


class _Allocation:
    """What one write takes. `fresh` is what it reserved itself."""

    def __init__(
        self, backend: Backend, kind: KindDefinition, service: Obj, kept: set[Holding], *, dry_run: bool
    ) -> None:
        meta = service["metadata"]
        self._kind = kind
        self._owner = Owner(meta.get("namespace", ""), meta.get("name", ""), meta["uid"])
        self._stores = {sort: Reservations(backend, sort) for sort in (ADDRESSES, NODE_PORTS)}
        self._ranges = ServiceRanges.parse(backend.service_cidrs)
        self._kept = kept
        self._dry_run = dry_run
        self.fresh: set[Holding] = set()

    async def fill(self, service: Obj) -> None:
        """Set clusterIP(s), node ports and the health check's port where the type has them."""
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return
        if spec.get("clusterIP") != HEADLESS:
            await self._fill_addresses(spec)
        if spec.get("type") in PORTED_TYPES:
            await self._fill_ports(spec)

    async def _fill_addresses(self, spec: Obj) -> None:
        asked = [one for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if one]
        for address in asked:
            await self._take_asked_address(address, asked)
        families = self._families(spec, asked)
        for family in families[len(asked) :]:
            network = self._ranges.of_family(family)
            if network is None:
                detail = f"not configured on this cluster: it has {', '.join(self._ranges.families)}"
                raise self._refusal(invalid_field("spec.ipFamilies[0]", family, detail))
            asked.append(await self._take_any(ADDRESSES, offered_addresses(network, self._taken(ADDRESSES))))
        spec["clusterIP"], spec["clusterIPs"], spec["ipFamilies"] = asked[0], asked, families

    def _families(self, spec: Obj, asked: list[str]) -> list[str]:
        """Return the families that the Service gets, those of its asked-for addresses first."""
        families = [family_of(address) for address in asked]
        wanted = spec.get("ipFamilies") or self._ranges.families
        families += [family for family in wanted if family not in families][: max(0, len(wanted) - len(families))]
        policy = spec.get("ipFamilyPolicy", "SingleStack")
        if policy == "SingleStack":
            return families[: max(1, len(asked))]
        families += [family for family in self._ranges.families if family not in families]
        if policy == "RequireDualStack" and len(self._ranges.networks) < 2:
            detail = "this cluster is not configured for dual-stack services"
            raise self._refusal(invalid_field("spec.ipFamilyPolicy", policy, detail))
        return [family for family in families if self._ranges.of_family(family) is not None] or families

    async def _take_asked_address(self, address: str, asked: list[str]) -> None:
        if (ADDRESSES, address) in self._kept:
            return
        network: Network | None = self._ranges.of_family(family_of(address))
        problem = "" if network is not None and is_usable(network, address) else (
            f"the provided IP ({address}) is not in the valid range. "
            f"The range of valid IPs is {network or ', '.join(map(str, self._ranges.networks))}"
        )  # fmt: skip
        if not problem and not await self._take(ADDRESSES, address):
            problem = ADDRESS_TAKEN
        if problem:
            cause = invalid_field("spec.clusterIPs", asked, f"failed to allocate IP {address}: {problem}")
            raise self._refusal(cause)

    async def _fill_ports(self, spec: Obj) -> None:
        ports = spec.get("ports") or []
        for index, one in enumerate(ports):
            if one.get("nodePort"):
                await self._take_asked_port(one["nodePort"], f"spec.ports[{index}].nodePort")
        if spec.get("allocateLoadBalancerNodePorts", True) is not False or spec.get("type") != BALANCER:
            for one in ports:
                if not one.get("nodePort"):
                    one["nodePort"] = _sibling(ports, one) or await self._take_any_port()
        if spec.get("type") != BALANCER or spec.get("externalTrafficPolicy") != "Local":
            return
        if spec.get("healthCheckNodePort"):
            await self._take_asked_port(spec["healthCheckNodePort"], "spec.healthCheckNodePort")
        else:
            spec["healthCheckNodePort"] = await self._take_any_port()

    async def _take_asked_port(self, number: int, path: str) -> None:
        if (NODE_PORTS, str(number)) in self._kept:
            return
        first, last = NODE_PORT_RANGE[0], NODE_PORT_RANGE[-1]
        if number not in NODE_PORT_RANGE:
            detail = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            raise self._refusal(invalid_field(path, number, detail))
        if not await self._take(NODE_PORTS, str(number)):
            raise self._refusal(invalid_field(path, number, PORT_TAKEN))

    async def _take_any_port(self) -> int:
        return int(await self._take_any(NODE_PORTS, offered_node_ports(self._taken(NODE_PORTS))))

    def _taken(self, sort: str) -> Collection[str]:
        return self._stores[sort].taken()

    async def _take(self, sort: str, value: str) -> bool:
        """Reserve one value; a dry run only looks."""
        if (sort, value) in self.fresh:
            return True
        if self._dry_run:
            held = await self._stores[sort].find(value)
            return held is None or held.owner.uid == self._owner.uid
        taken = await self._stores[sort].take(value, self._owner)
        if taken:
            self.fresh.add((sort, value))
        return taken

    async def _take_any(self, sort: str, offered: Iterable[str]) -> str:
        for value in offered:
            if (sort, value) not in self.fresh and await self._take(sort, value):
                return value
        what = "a serviceIP" if sort == ADDRESSES else "a nodePort"
        raise InternalServerError(f"Internal error occurred: failed to allocate {what}: range is full")

    async def give_back(self, what: Iterable[Holding]) -> None:
        """Free reservations of this Service."""
        for sort, value in sorted(what):
            await self._stores[sort].give_back(value, self._owner.uid)

    def _refusal(self, cause: FieldError) -> Exception:
        return invalid(self._kind, self._owner.name, [cause])


def _sibling(ports: list[Obj], one: Obj) -> int | None:
    """Return the node port of the same port number under another protocol: both have one, as in Kubernetes."""
    return next((other["nodePort"] for other in ports if other["port"] == one["port"] and other.get("nodePort")), None)
