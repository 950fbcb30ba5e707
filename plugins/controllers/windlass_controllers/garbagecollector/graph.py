"""The graph of owner references: who depends on whom. Pure data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Owner(NamedTuple):
    """One owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Node:
    """What is known of one object."""

    uid: str
    api_version: str
    kind: str
    namespace: str
    name: str
    owners: tuple[Owner, ...] = ()
    deleting: bool = False
    finalizers: frozenset[str] = field(default_factory=frozenset)

    @property
    def waits_for_dependents(self) -> bool:
        """Whether the object is being deleted in the foreground."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """Whether the object is being deleted and its dependents shall stay."""
        return self.deleting and ORPHAN in self.finalizers


def node_of(obj: Mapping[str, Any], api_version: str, kind: str) -> Node:
    """Return the node of an object (or of its metadata alone)."""
    metadata = obj["metadata"]
    return Node(
        metadata["uid"], api_version, kind, str(metadata.get("namespace") or ""), metadata["name"],
        owners_of(obj), bool(metadata.get("deletionTimestamp")), frozenset(metadata.get("finalizers") or ()),
    )


def owners_of(obj: Mapping[str, Any]) -> tuple[Owner, ...]:
    """Return an object's owner references."""
    return tuple(
        Owner(r["apiVersion"], r["kind"], r["name"], r["uid"], bool(r.get("blockOwnerDeletion")))
        for r in obj["metadata"].get("ownerReferences") or ()
    )


class Graph:
    """All objects by uid, and the dependents of every uid, also of those that are not (or no longer) there."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        """Return an object, or None."""
        return self._nodes.get(uid)

    def dependents(self, uid: str) -> list[Node]:
        """Return the objects that name the uid as an owner."""
        return [self._nodes[dependent] for dependent in sorted(self._dependents.get(uid, ()))]

    def put(self, node: Node) -> Node | None:
        """Add or replace an object; return what it was."""
        old = self._nodes.get(node.uid)
        self._link(old.owners if old is not None else (), node.owners, node.uid)
        self._nodes[node.uid] = node
        return old

    def remove(self, uid: str) -> Node | None:
        """Drop an object; its dependents stay, to be asked about."""
        old = self._nodes.pop(uid, None)
        if old is not None:
            self._link(old.owners, (), uid)
        return old

    def _link(self, before: Iterable[Owner], after: Iterable[Owner], uid: str) -> None:
        was, now = {owner.uid for owner in before}, {owner.uid for owner in after}
        for owner in was - now:
            dependents = self._dependents[owner]
            dependents.discard(uid)
            if not dependents:
                del self._dependents[owner]
        for owner in now - was:
            self._dependents.setdefault(owner, set()).add(uid)
