"""What to do with one object whose owners may be gone or going. Pure.

Kubernetes' rules: an object with at least one solid owner stays and loses references to absent or waiting ones; one
whose owners are all absent goes; one whose last owners wait in foreground deletion goes in the foreground itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from windlass_controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Node, Owner


class OwnerState(StrEnum):
    """What has become of an owner. UNKNOWN: nobody can tell now; nothing is deleted on its account."""

    SOLID = "solid"
    ABSENT = "absent"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`drop` these owner uids; or delete with `policy`; `unblock` first the references that would close a circle."""

    drop: frozenset[str] = frozenset()
    policy: str = ""
    unblock: bool = False
    retry: bool = False


def plan_dependent(node: Node, owners: Mapping[Owner, OwnerState], graph: Graph) -> Verdict:
    """Judge an object by the state of each of its owners."""
    by_state = {state: {o.uid for o, s in owners.items() if s is state} for state in OwnerState}
    unknown = bool(by_state[OwnerState.UNKNOWN])
    if not owners:
        return Verdict()
    if by_state[OwnerState.SOLID]:
        return Verdict(drop=frozenset(by_state[OwnerState.ABSENT] | by_state[OwnerState.WAITING]), retry=unknown)
    if unknown:
        return Verdict(retry=True)
    dependents = graph.dependents(node.uid)
    if by_state[OwnerState.WAITING] and dependents:
        return Verdict(policy="Foreground", unblock=any(d.waits_for_dependents for d in dependents))
    return Verdict(policy=own_policy(node.finalizers))


def own_policy(finalizers: Iterable[str]) -> str:
    """Return the propagation policy that an object's finalizers ask for."""
    names = set(finalizers)
    if ORPHAN in names:
        return "Orphan"
    return "Foreground" if FOREGROUND in names else "Background"


def blocking_dependents(node: Node, graph: Graph) -> list[Node]:
    """Return the dependents that the foreground deletion of an object waits for."""
    return [
        dependent
        for dependent in graph.dependents(node.uid)
        if any(owner.uid == node.uid and owner.blocks for owner in dependent.owners)
        and dependent.namespace == (node.namespace or dependent.namespace)
    ]


def plan_event(old: Node | None, new: Node | None, graph: Graph) -> list[str]:
    """Return the uids to look at after a change that the graph already shows."""
    if new is None:
        assert old is not None
        owners = [owner.uid for owner in old.owners]
        return [*(d.uid for d in graph.dependents(old.uid)), *owners]
    uids = [new.uid] if new.owners or new.waits_for_dependents or new.orphans_dependents else []
    if new.waits_for_dependents:
        uids += [d.uid for d in graph.dependents(new.uid)]
    before = old.owners if old is not None else ()
    if before != new.owners:
        uids += [owner.uid for owner in before]
    return uids


def without_owners(references: Sequence[Mapping[str, Any]], uids: Iterable[str]) -> list[Mapping[str, Any]] | None:
    """Return the references to others, None for none."""
    dropped = set(uids)
    return [reference for reference in references if reference.get("uid") not in dropped] or None


def unblocked(references: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the references with none blocking its owner's deletion."""
    return [{**reference, "blockOwnerDeletion": False} for reference in references]
