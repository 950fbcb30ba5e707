"""What a Service means on one node: the places where it is reached, and the endpoints behind each. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from windlass.plugin.interfaces.proxy import NodeProxyConfig, ProxyProblem, ServiceKey, ServiceState
from windlass_network.nftables.martians import is_address, is_within, martian

Obj = Mapping[str, Any]
REFUSE, DROP = "refuse", "drop"
HEADLESS = "None"
DEFAULT_AFFINITY_SECONDS = 10_800


class Endpoint(NamedTuple):
    """Where a connection ends."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Frontend:
    """A place where a Service is reached. `address` '' is a node port: `port` of every address of the node.

    `masquerade`: connections come back through this node. `affinity_seconds`: 0 has none. `without` says what happens
    when there is no endpoint. `sources`: the ranges that may come; empty lets everyone.
    """

    family: int
    address: str
    protocol: str
    port: int
    endpoints: tuple[Endpoint, ...]
    masquerade: bool = False
    affinity_seconds: int = 0
    without: str = REFUSE
    sources: tuple[str, ...] = ()


class _Candidate(NamedTuple):
    endpoint: Endpoint
    local: bool
    ready: bool
    serving: bool


def key_of(service: Obj) -> ServiceKey:
    """Return a Service's key."""
    return service["metadata"]["namespace"], service["metadata"]["name"]


def plan_frontends(state: ServiceState, node: NodeProxyConfig) -> tuple[list[Frontend], list[ProxyProblem]]:
    """Return all frontends of a Service, and what of it is refused."""
    spec = state.service.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (HEADLESS, "", None):
        return [], []
    checker = _Checker(node, key_of(state.service))
    inside = [ip for ip in spec.get("clusterIPs") or [spec["clusterIP"]] if is_address(ip)]
    outside = [ip for ip in spec.get("externalIPs") or () if checker.may_be_external(ip)]
    balanced = [ip for ip in _balancer_ips(state.service) if checker.may_be_external(ip)]
    found: list[Frontend] = []
    for port in spec.get("ports") or ():
        for family in sorted({family_of(ip) for ip in inside}):
            candidates = _candidates(state, port, family, node, checker)
            reach = _Reach(spec, port, family, candidates)
            found += reach.cluster(_of_family(inside, family))
            found += reach.external(_of_family(outside, family), ())
            found += reach.external(_of_family(balanced, family), tuple(spec.get("loadBalancerSourceRanges") or ()))
            found += reach.node_port()
    return found, checker.problems


def family_of(text: str) -> int:
    """Return the IP version of an address or network."""
    return 6 if ":" in text else 4


def _of_family(addresses: Iterable[str], family: int) -> list[str]:
    return [ip for ip in addresses if family_of(ip) == family]


def _balancer_ips(service: Obj) -> list[str]:
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [one["ip"] for one in ingress if one.get("ip") and one.get("ipMode", "VIP") != "Proxy"]


class _Reach:
    """Frontends of one port in one family."""

    def __init__(self, spec: Obj, port: Obj, family: int, candidates: Sequence[_Candidate]) -> None:
        self._port, self._family = port, family
        self._protocol = str(port.get("protocol") or "TCP").lower()
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        sticky = spec.get("sessionAffinity") == "ClientIP"
        self._affinity = int(config.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS) if sticky else 0
        self._local_inside = spec.get("internalTrafficPolicy") == "Local"
        self._local_outside = spec.get("externalTrafficPolicy") == "Local"
        self._candidates = candidates

    def _make(self, address: str, port: int, *, local: bool, masquerade: bool = False) -> Frontend:
        endpoints = usable(self._candidates, local=local)
        elsewhere = local and not endpoints and bool(usable(self._candidates, local=False))
        return Frontend(
            self._family, address, self._protocol, port, endpoints, masquerade and bool(endpoints), self._affinity,
            DROP if elsewhere else REFUSE,
        )  # fmt: skip

    def cluster(self, addresses: Iterable[str]) -> list[Frontend]:
        return [self._make(ip, self._port["port"], local=self._local_inside) for ip in addresses]

    def external(self, addresses: Iterable[str], sources: tuple[str, ...]) -> list[Frontend]:
        own = tuple(s for s in sources if family_of(s) == self._family)
        found = []
        for ip in addresses:
            made = self._make(ip, self._port["port"], local=self._local_outside, masquerade=not self._local_outside)
            found.append(
                Frontend(made.family, made.address, made.protocol, made.port, made.endpoints, made.masquerade,
                         made.affinity_seconds, made.without, own)
            )  # fmt: skip
        return found

    def node_port(self) -> list[Frontend]:
        number = self._port.get("nodePort")
        local = self._local_outside
        return [self._make("", number, local=local, masquerade=not local)] if number else []


def usable(candidates: Sequence[_Candidate], *, local: bool) -> tuple[Endpoint, ...]:
    """Return the endpoints that get connections: the ready ones; where none is, those that still serve while ending."""
    near = [one for one in candidates if one.local or not local]
    chosen = [one for one in near if one.ready] or [one for one in near if one.serving]
    return tuple(sorted({one.endpoint for one in chosen}))


def _candidates(
    state: ServiceState, port: Obj, family: int, node: NodeProxyConfig, checker: "_Checker"
) -> list[_Candidate]:
    name, protocol = port.get("name") or "", port.get("protocol") or "TCP"
    found: list[_Candidate] = []
    for piece in state.slices:
        if piece.get("addressType") != f"IPv{family}":
            continue
        numbers = [
            one["port"]
            for one in piece.get("ports") or ()
            if (one.get("name") or "") == name and (one.get("protocol") or "TCP") == protocol and one.get("port")
        ]
        for entry in piece.get("endpoints") or ():
            found += _of_entry(entry, numbers, node.node_name, checker)
    return found


def _of_entry(entry: Obj, numbers: Sequence[int], node_name: str, checker: "_Checker") -> list[_Candidate]:
    conditions = entry.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving", ready) is not False and bool(conditions.get("terminating"))
    address = next(iter(entry.get("addresses") or ()), "")
    if not numbers or not (ready or serving) or not checker.may_be_endpoint(address):
        return []
    local = entry.get("nodeName") == node_name
    return [_Candidate(Endpoint(address, number), local, ready, serving) for number in numbers]


class _Checker:
    """Refuses addresses that nobody may send other people's connections to."""

    def __init__(self, node: NodeProxyConfig, service: ServiceKey) -> None:
        self._node = node
        self._service = service
        self.problems: list[ProxyProblem] = []

    def may_be_endpoint(self, text: str) -> bool:
        why = martian(text) or ("an address of a Service" if is_within(text, self._node.service_cidrs) else "")
        return self._allow("endpoint", text, "InvalidEndpoint", why)

    def may_be_external(self, text: str) -> bool:
        why = martian(text)
        if not why and is_within(text, self._node.service_cidrs):
            why = "in the Services' own range"
        elif not why and is_within(text, self._node.pod_cidrs):
            why = "in the pods' range"
        elif not why and text in self._node.node_ips:
            why = "an address of a node"
        return self._allow("external address", text, "InvalidExternalIP", why)

    def _allow(self, what: str, text: str, reason: str, why: str) -> bool:
        if not why:
            return True
        problem = ProxyProblem(self._service, reason, f"{what} {text} is not served: it is {why}")
        if problem not in self.problems:
            self.problems.append(problem)
        return False
