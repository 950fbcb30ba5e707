"""ControllerRevisions: snapshots of a template that DaemonSets and StatefulSets go forward and back by. Pure.

A snapshot is the strategic merge patch that brings the template back, as `kubectl rollout undo` applies it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from windlass.apimachinery.meta import new_controller_ref

Obj = dict[str, Any]
HASH_LABEL = "controller-revision-hash"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
HASH_LENGTH = 10


@dataclass(slots=True)
class RevisionPlan:
    """The revision of the present template, and what to write for it. `update` is None or `create` is."""

    current: Obj
    create: bool = False
    renumber: bool = False
    delete: list[Obj] = field(default_factory=list)


def snapshot(owner: Mapping[str, Any]) -> Obj:
    """Return the data of the owner's present template."""
    return {"spec": {"template": {**(owner["spec"].get("template") or {}), "$patch": "replace"}}}


def template_hash(owner: Mapping[str, Any], collisions: int) -> str:
    """Return a short name for the present template; `collisions` makes another one when it is taken."""
    text = orjson.dumps([snapshot(owner), collisions], option=orjson.OPT_SORT_KEYS)
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    letters = ""
    for _ in range(HASH_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return letters


def new_revision(owner: Mapping[str, Any], number: int, collisions: int) -> Obj:
    """Build the snapshot of the present template."""
    name = template_hash(owner, collisions)
    labels = ((owner["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{owner['metadata']['name']}-{name}",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, HASH_LABEL: name},
            "annotations": _change_cause(owner),
            "ownerReferences": [new_controller_ref(owner)],
        },
        "data": snapshot(owner),
        "revision": number,
    }


def _change_cause(owner: Mapping[str, Any]) -> Obj:
    cause = (owner["metadata"].get("annotations") or {}).get("kubernetes.io/change-cause")
    return {"kubernetes.io/change-cause": cause} if cause else {}


def hash_of(revision: Mapping[str, Any]) -> str:
    """Return a snapshot's short name."""
    return str((revision["metadata"].get("labels") or {}).get(HASH_LABEL) or revision["metadata"]["name"])


def plan_revisions(
    owner: Mapping[str, Any], existing: Sequence[Obj], used: set[str], collisions: int, limit: int
) -> RevisionPlan:
    """Find or make the present template's revision, and drop old ones that no pod uses beyond the limit.

    `used` are the hashes that pods carry. A template that comes back gets its old snapshot with a new number.
    """
    data = snapshot(owner)
    history = sorted(existing, key=lambda r: (int(r.get("revision") or 0), r["metadata"]["name"]))
    highest = int(history[-1].get("revision") or 0) if history else 0
    same = [r for r in history if r.get("data") == data]
    if same:
        found = same[-1]
        old = int(found.get("revision") or 0) < highest
        plan = RevisionPlan({**found, "revision": highest + 1} if old else found, renumber=old)
    else:
        plan = RevisionPlan(new_revision(owner, highest + 1, collisions), create=True)
    name = plan.current["metadata"]["name"]
    idle = [r for r in history if r["metadata"]["name"] != name and hash_of(r) not in used]
    plan.delete = idle[: max(0, len(idle) - limit)]
    return plan
