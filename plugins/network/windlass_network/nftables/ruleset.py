"""Frontends as elements of nft maps, and the table that looks them up. Pure.

A packet's way costs the same with ten Services and with ten thousand: one lookup in a map keyed by address, protocol and
port leads to the chain of the right *number* of endpoints (`pick4-3`), which looks up one of them under a random index.
So a Service is elements only, and a change of it is a few of them taken out and put in. Chains of their own have only
the frontends with session affinity. Kubernetes' own proxy makes a chain per Service and one per endpoint instead.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from windlass_network.nftables.frontends import DROP, Endpoint, Frontend

TABLE = "inet windlass"
MARK = 0x4000
"""The bit of the packet mark that asks for masquerade on the way out; the one that Kubernetes uses, too."""

FIRST_PICKS = 16
Pick = tuple[str, int]
"""A chain that picks an endpoint, and among how many."""

Element = tuple[str, str]
"""A map or set and a key in it."""


@dataclass(frozen=True, slots=True)
class AffinityChain:
    """A frontend with session affinity: its chain, and per endpoint a chain and a set of the clients that belong to it."""

    name: str
    family: int
    protocol: str
    seconds: int
    masquerade: bool
    endpoints: tuple[Endpoint, ...]

    def members(self) -> list[tuple[str, Endpoint]]:
        """Return a name per endpoint."""
        return [(f"{self.name}-{_short(f'{one.address} {one.port}')}", one) for one in self.endpoints]


@dataclass(slots=True)
class Rendered:
    """One Service's part. `values`: elements of maps; `members`: of sets, which Services may share."""

    values: dict[Element, str] = field(default_factory=dict)
    members: set[Element] = field(default_factory=set)
    affinity: dict[str, AffinityChain] = field(default_factory=dict)
    picks: set[Pick] = field(default_factory=set)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def render(frontends: Iterable[Frontend]) -> Rendered:
    """Return the elements of one Service."""
    made = Rendered()
    for one in frontends:
        _render_frontend(made, one)
    return made


def _render_frontend(made: Rendered, one: Frontend) -> None:
    on_node = not one.address
    kind = "node" if on_node else "pick"
    place = f"{one.protocol} . {one.port}" if on_node else f"{one.protocol} . {one.address} . {one.port}"
    if one.sources and not on_node:
        made.members.add((f"restricted{one.family}", place))
        made.members |= {(f"sources{one.family}", f"{place} . {source}") for source in one.sources}
    if not one.endpoints:
        made.values[f"{'unservednode' if on_node else 'unserved'}{one.family}", place] = (
            "drop" if one.without == DROP else "goto refuse"
        )
        return
    entry = f"{'nodeports' if on_node else 'services'}{one.family}", place
    made.members |= {(f"hairpin{one.family}", f"{end.address} . {end.address}") for end in one.endpoints}
    if one.affinity_seconds:
        name = f"stay{one.family}-{_short(place)}"
        made.affinity[name] = AffinityChain(
            name, one.family, one.protocol, one.affinity_seconds, one.masquerade, one.endpoints
        )
        made.values[entry] = f"goto {name}"
        return
    chain = f"{kind}{one.family}{'m' if one.masquerade else ''}"
    made.picks.add((chain, len(one.endpoints)))
    made.values[entry] = f"goto {chain}-{len(one.endpoints)}"
    targets = f"{'nodeends' if on_node else 'ends'}{one.family}"
    for index, end in enumerate(one.endpoints):
        made.values[targets, f"{place} . {index}"] = f"{end.address} . {end.port}"


def pick_chain(chain: str, count: int) -> str:
    """Return the chain that picks one of `count` endpoints."""
    family = chain[4]
    address = "" if chain.startswith("node") else f"{_ip(family)} daddr . "
    targets = "nodeends" if chain.startswith("node") else "ends"
    mark = f"meta mark set meta mark or {MARK:#x}; " if chain.endswith("m") else ""
    return (
        f"add chain {TABLE} {chain}-{count} {{ {mark}meta l4proto {{ tcp, udp, sctp }} dnat {_ip(family)} to "
        f"meta l4proto . {address}th dport . numgen random mod {count} map @{targets}{family}; }}"
    )


def _ip(family: str | int) -> str:
    return "ip" if int(family) == 4 else "ip6"


def affinity_names(chain: AffinityChain) -> tuple[list[str], list[str]]:
    """Return the chains and the sets that an affinity chain consists of, itself last."""
    members = [name for name, _ in chain.members()]
    return [*members, chain.name], members


def affinity_rules(chain: AffinityChain) -> list[str]:
    """Return the commands that make an affinity chain, whether or not it was there; clients that stay are kept."""
    ip, lines = _ip(chain.family), list[str]()
    address = "ipv4_addr" if chain.family == 4 else "ipv6_addr"
    members = chain.members()
    for name, end in members:
        target = f"{end.address}:{end.port}" if chain.family == 4 else f"[{end.address}]:{end.port}"
        lines += [
            f"add set {TABLE} {name} {{ type {address}; size 65535; flags dynamic,timeout; }}",
            f"add chain {TABLE} {name}",
            f"flush chain {TABLE} {name}",
            f"add rule {TABLE} {name} update @{name} {{ {ip} saddr timeout {chain.seconds}s }}",
            f"add rule {TABLE} {name} meta l4proto {chain.protocol} dnat {ip} to {target}",
        ]
    lines += [f"add chain {TABLE} {chain.name}", f"flush chain {TABLE} {chain.name}"]
    if chain.masquerade:
        lines.append(f"add rule {TABLE} {chain.name} meta mark set meta mark or {MARK:#x}")
    lines += [f"add rule {TABLE} {chain.name} {ip} saddr @{name} goto {name}" for name, _ in members]
    choices = ", ".join(f"{index} : goto {name}" for index, (name, _) in enumerate(members))
    lines.append(f"add rule {TABLE} {chain.name} numgen random mod {len(members)} vmap {{ {choices} }}")
    return lines


def skeleton(service_cidrs: Sequence[str], masqueraded: Sequence[str] = ()) -> list[str]:
    """Return the commands that make the table anew, without any Service.

    `masqueraded`: pod ranges whose pods answer one another without passing this node's connection tracking.
    """
    lines = [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
    for family in (4, 6):
        lines += _maps(family)
    lines += [
        f"add chain {TABLE} refuse {{ meta l4proto tcp reject with tcp reset; reject; }}",
        _base("allowed", "filter", "prerouting", -110, [r for f in (4, 6) for r in _source_rules(f)]),
        _base("prerouting", "nat", "prerouting", -100, [r for f in (4, 6) for r in _lookup_rules(f)]),
        _base("output", "nat", "output", -100, [r for f in (4, 6) for r in _lookup_rules(f)]),
        _base("postrouting", "nat", "postrouting", 100, _masquerade_rules(masqueraded)),
    ]
    ends = [f"{_ip(6 if ':' in text else 4)} daddr {text} goto refuse" for text in service_cidrs]
    refusals = [rule for family in (4, 6) for rule in _refusal_rules(family)] + ends
    lines += [_base(f"refuse-{hook}", "filter", hook, 0, refusals) for hook in ("input", "forward", "output")]
    return lines


def rules_of(lines: Iterable[str]) -> dict[str, int]:
    """Return how many rules each chain of a skeleton has, by the chain's name."""
    found: dict[str, int] = {}
    for line in lines:
        if line.startswith(f"add chain {TABLE} "):
            found[line.split()[4]] = line.count(";") - (2 if "{ type " in line else 0)
    return found


def first_picks() -> set[Pick]:
    """Return the chains that every table has from the start, so that most changes are elements only."""
    kinds = [f"{kind}{family}{mark}" for kind in ("pick", "node") for family in (4, 6) for mark in ("", "m")]
    return {(kind, count) for kind in kinds for count in range(1, FIRST_PICKS + 1)}


def _base(name: str, kind: str, hook: str, priority: int, rules: Sequence[str]) -> str:
    text = "".join(f" {rule};" for rule in rules)
    return f"add chain {TABLE} {name} {{ type {kind} hook {hook} priority {priority}; policy accept;{text} }}"


def _maps(family: int) -> list[str]:
    place = f"meta l4proto . {_ip(family)} daddr . th dport"
    end = f"{_ip(family)} daddr . th dport"
    verdict, number = f"ipv{family}_addr", "numgen random mod 65536"
    return [
        f"add map {TABLE} services{family} {{ type inet_proto . {verdict} . inet_service : verdict; }}",
        f"add map {TABLE} unserved{family} {{ type inet_proto . {verdict} . inet_service : verdict; }}",
        f"add map {TABLE} nodeports{family} {{ type inet_proto . inet_service : verdict; }}",
        f"add map {TABLE} unservednode{family} {{ type inet_proto . inet_service : verdict; }}",
        f"add map {TABLE} ends{family} {{ typeof {place} . {number} : {end}; }}",
        f"add map {TABLE} nodeends{family} {{ typeof meta l4proto . th dport . {number} : {end}; }}",
        f"add set {TABLE} hairpin{family} {{ type {verdict} . {verdict}; }}",
        f"add set {TABLE} restricted{family} {{ typeof {place}; }}",
        f"add set {TABLE} sources{family} {{ typeof {place} . {_ip(family)} saddr; flags interval; }}",
    ]


def _lookup_rules(family: int) -> list[str]:
    ip, loopback = _ip(family), "127.0.0.0/8" if family == 4 else "::1"
    return [
        f"meta l4proto . {ip} daddr . th dport vmap @services{family}",
        f"fib daddr type local {ip} daddr != {loopback} meta l4proto . th dport vmap @nodeports{family}",
    ]


def _source_rules(family: int) -> list[str]:
    place = f"meta l4proto . {_ip(family)} daddr . th dport"
    return [f"{place} @restricted{family} {place} . {_ip(family)} saddr != @sources{family} drop"]


def _refusal_rules(family: int) -> list[str]:
    ip = _ip(family)
    return [
        f"ct state new meta l4proto . {ip} daddr . th dport vmap @unserved{family}",
        f"ct state new fib daddr type local meta nfproto ipv{family} meta l4proto . th dport vmap @unservednode{family}",
    ]


def _masquerade_rules(masqueraded: Sequence[str]) -> list[str]:
    """Pods that reach themselves, whoever is marked, and pods beside each other where the kernel cannot see answers."""
    rules = [
        f"meta mark & {MARK:#x} == {MARK:#x} meta mark set meta mark xor {MARK:#x} masquerade fully-random",
        "ct status dnat ip saddr . ip daddr @hairpin4 masquerade fully-random",
        "ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade fully-random",
    ]
    for text in masqueraded:
        ip = _ip(6 if ":" in text else 4)
        rules.append(f"ct status dnat {ip} saddr {text} {ip} daddr {text} masquerade fully-random")
    return rules
