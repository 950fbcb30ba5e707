"""What is in the table, and the transactions that lead from there to what should be. Pure; costs what changed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from windlass.plugin.interfaces.proxy import ProxyProblem, ServiceKey
from windlass_network.nftables.ruleset import (
    TABLE,
    AffinityChain,
    Element,
    Pick,
    Rendered,
    affinity_names,
    affinity_rules,
)

CHUNK = 4000
FRONTEND_MAPS = ("services", "nodeports", "unserved", "unservednode")


def place_of(element: Element) -> str:
    """Return the place (family, protocol, address, port) that an element speaks of, '' for sets' members. Pure."""
    table_map, key = element
    name, family = table_map[:-1], table_map[-1]
    if name in FRONTEND_MAPS:
        return f"{family} {key}"
    return f"{family} {key.rpartition(' . ')[0]}" if name in {"ends", "nodeends"} else ""


@dataclass(slots=True)
class _Delta:
    removed: dict[Element, str] = field(default_factory=dict)
    added: dict[Element, str] = field(default_factory=dict)
    rebuilt: dict[str, AffinityChain] = field(default_factory=dict)
    dropped: dict[str, AffinityChain] = field(default_factory=dict)


class TableState:
    """All Services as applied, or about to be. A transaction that fails makes it worthless: begin anew with `sync`.

    `picks`: the chains that the table has from the start.
    """

    def __init__(self, picks: Iterable[Pick]) -> None:
        self._services: dict[ServiceKey, Rendered] = {}
        self._owners: dict[str, ServiceKey] = {}
        self._losers: dict[str, set[ServiceKey]] = {}
        self._members: Counter[Element] = Counter()
        self._picks = frozenset(picks)

    def change(self, changes: Mapping[ServiceKey, Rendered | None]) -> tuple[list[str], list[ProxyProblem]]:
        """Take these over; return the commands, and the places that another Service has already.

        A place that is freed goes to a Service that was refused it; the older claim always wins.
        """
        delta, problems = _Delta(), list[ProxyProblem]()
        freed: set[str] = set()
        for key, rendered in changes.items():
            freed |= self._remove(key, delta, keep=_places(rendered))
        for key, rendered in changes.items():
            if rendered is not None:
                problems += self._add(key, rendered, delta)
        for place in freed - self._owners.keys():
            self._inherit(place, delta)
        return self._commands(delta), problems

    def _remove(self, key: ServiceKey, delta: _Delta, keep: set[str]) -> set[str]:
        """Take a Service out; return the places that it leaves."""
        former = self._services.pop(key, None)
        if former is None:
            return set()
        freed: set[str] = set()
        for place in _places(former):
            if self._owners.get(place) == key:
                self._take_out(former, place, delta)
                if place not in keep:
                    del self._owners[place]
                    freed.add(place)
            else:
                self._losers.get(place, set()).discard(key)
        for member in former.members:
            self._members[member] -= 1
            if not self._members[member]:
                del self._members[member]
                delta.removed[member] = ""
        return freed

    def _take_out(self, rendered: Rendered, place: str, delta: _Delta) -> None:
        for element, value in rendered.values.items():
            if place_of(element) == place:
                delta.removed[element] = value
                chain = rendered.affinity.get(value.removeprefix("goto "))
                if chain is not None:
                    delta.dropped[chain.name] = chain

    def _add(self, key: ServiceKey, rendered: Rendered, delta: _Delta) -> list[ProxyProblem]:
        problems = []
        self._services[key] = rendered
        for place in sorted(_places(rendered)):
            owner = self._owners.setdefault(place, key)
            if owner == key:
                continue
            self._losers.setdefault(place, set()).add(key)
            where = place.partition(" ")[2].replace(" . ", " ")
            text = f"{where} is not served: it belongs to Service {owner[0]}/{owner[1]}"
            problems.append(ProxyProblem(key, "AddressInUse", text))
        self._put_in(key, rendered, delta, None)
        for member in rendered.members:
            self._members[member] += 1
            if self._members[member] == 1:
                delta.added[member] = ""
        return problems

    def _put_in(self, key: ServiceKey, rendered: Rendered, delta: _Delta, only: str | None) -> None:
        for element, value in rendered.values.items():
            place = place_of(element)
            if self._owners.get(place) != key or only not in (None, place):
                continue
            delta.added[element] = value
            chain = rendered.affinity.get(value.removeprefix("goto "))
            if chain is not None:
                delta.rebuilt[chain.name] = chain

    def _inherit(self, place: str, delta: _Delta) -> None:
        waiting = sorted(self._losers.pop(place, set()))
        if not waiting:
            return
        heir, *others = waiting
        self._owners[place] = heir
        self._losers[place] = set(others)
        self._put_in(heir, self._services[heir], delta, place)

    def _commands(self, delta: _Delta) -> list[str]:
        """Write the transaction: what refers comes after what it refers to, and goes before it."""
        lines: list[str] = []
        for chain in delta.rebuilt.values():
            lines += affinity_rules(chain)
        same = {element for element, value in delta.removed.items() if delta.added.get(element) == value}
        gone = {element: "" for element in delta.removed if element not in same}
        new = {element: value for element, value in delta.added.items() if element not in same}
        lines += _element_commands("delete", _sorted(gone))
        lines += _element_commands("add", _sorted(new))
        for name, chain in delta.dropped.items():
            lines += _drop_affinity(chain, delta.rebuilt.get(name))
        return lines

    def lacks(self, rendered: Iterable[Rendered | None]) -> set[Pick]:
        """Return the chains that these Services need and the table has not."""
        needed = set[Pick]().union(*(one.picks for one in rendered if one is not None))
        return needed - self._picks

    def rendered(self) -> dict[ServiceKey, Rendered]:
        """Return all Services, the longest known first."""
        return dict(self._services)

    def statistics(self) -> dict[str, int]:
        """Count what the table has."""
        elements = sum(len(rendered.values) for rendered in self._services.values())
        return {"services": len(self._services), "elements": elements, "chains": len(self._picks)}

    def expected_rules(self) -> dict[str, int]:
        """Return how many rules the chains of session affinity have, by name."""
        found: dict[str, int] = {}
        for rendered in self._services.values():
            for chain in rendered.affinity.values():
                found[chain.name] = len(chain.endpoints) + 1 + chain.masquerade
                found |= {name: 2 for name, _ in chain.members()}
        return found


def _places(rendered: Rendered | None) -> set[str]:
    return {place_of(element) for element in rendered.values} if rendered is not None else set()


def _sorted(elements: Mapping[Element, str]) -> list[tuple[str, str]]:
    """Return (map, element as written), by map."""
    written = [(name, f"{key} : {value}" if value else key) for (name, key), value in elements.items()]
    return sorted(written, key=lambda pair: pair[0])


def _element_commands(verb: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    group: list[str] = []
    current = ""
    for name, text in [*elements, ("", "")]:
        if group and (name != current or len(group) >= CHUNK):
            lines.append(f"{verb} element {TABLE} {current} {{ {', '.join(group)} }}")
            group = []
        current = name
        group.append(text)
    return lines


def _drop_affinity(former: AffinityChain, now: AffinityChain | None) -> list[str]:
    """Remove an affinity chain, or those of its endpoints that it has no more."""
    chains, sets = affinity_names(former)
    kept_chains, kept_sets = affinity_names(now) if now is not None else ([], [])
    gone = [name for name in chains if name not in kept_chains]
    lines = [f"flush chain {TABLE} {name}" for name in gone]
    lines += [f"delete chain {TABLE} {name}" for name in reversed(gone)]
    return lines + [f"delete set {TABLE} {name}" for name in sets if name not in kept_sets]
