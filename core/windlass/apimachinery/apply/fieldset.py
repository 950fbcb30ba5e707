"""Sets of fields in the form in which they travel (`FieldsV1`), and their algebra.

A set is a tree of dicts. A key is one step of a path: `f:name` (a field or a map's key), `k:{"name":"web"}` (an item of
a list that is a map), `v:"text"` (an item of a set). A node is a member of the set when it is empty or has the key `.`;
a node without members does not occur. The root is no member itself: `{}` there is the empty set.

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}}

Nodes are shared between sets, so nobody ever changes one: every function returns new nodes, or the old ones.
"""

from collections.abc import Iterator
from typing import Any

from windlass.apimachinery.apply.steps import step_text

FieldSet = dict[str, Any]
SELF = "."
LEAF: FieldSet = {}
"""The node of a member without further members below it. Shared by all sets: never to be changed."""


def is_member(node: FieldSet) -> bool:
    """Say whether the place of a node (not a root) is in the set."""
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in either set."""
    if one is other or not other:
        return one
    if not one:
        return other
    return _union(one, other)


def _union(one: FieldSet, other: FieldSet) -> FieldSet:
    joined = one
    for step, node in other.items():
        known = one.get(step)
        merged = node if known is None else known if not known and not node else _union_nodes(known, node)
        if merged is not known:
            if joined is one:
                joined = dict(one)  # mostly nothing is new, and the set stays what it was
            joined[step] = merged
    return joined


def _union_nodes(one: FieldSet, other: FieldSet) -> FieldSet:
    if one is other:
        return one
    if not one:
        return other if SELF in other else {SELF: LEAF, **other}
    if not other:
        return one if SELF in one else {SELF: LEAF, **one}
    return _union(one, other)


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in the first set and not, itself, in the second; fields below a member of the second stay."""
    kept = one
    for step, node in other.items():
        known = kept.get(step)
        if known is None:
            continue
        left = _node(difference(_below(known), _below(node)), member=is_member(known) and not is_member(node))
        if left is known or left == known:
            continue
        kept = {key: value for key, value in kept.items() if key != step} if left is None else {**kept, step: left}
    return kept


def recursive_difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in the first set and neither in the second nor below a member of it."""
    kept: FieldSet = {}
    for step, node in one.items():
        taken = other.get(step)
        if taken is None:
            kept[step] = node
        elif not is_member(taken):
            left = _node(recursive_difference(_below(node), taken), member=is_member(node))
            if left is not None:
                kept[step] = left
    return kept


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in both sets."""
    both: FieldSet = {}
    if one is other:
        return one
    for step, node in one.items():
        known = other.get(step)
        if known is None:
            continue
        shared = _node(intersection(_below(node), _below(known)), member=is_member(node) and is_member(known))
        if shared is not None:
            both[step] = shared
    return both


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Yield the members as kubectl prints them: `.spec.containers[name="web"].image`."""
    steps = sorted(step for step in fields if step != SELF)
    yield from (prefix + step_text(step) for step in steps if is_member(fields[step]))
    for step in steps:
        yield from paths(fields[step], prefix + step_text(step))


def is_field_set(value: Any) -> bool:
    """Say whether a JSON value has the form of a set: objects all the way down, with steps as keys."""
    return isinstance(value, dict) and all(
        (step == SELF and node == {}) or (step[:2] in ("f:", "k:", "v:", "i:") and is_field_set(node))
        for step, node in value.items()
    )


def _below(node: FieldSet) -> FieldSet:
    return {step: child for step, child in node.items() if step != SELF} if SELF in node else node


def _node(below: FieldSet, *, member: bool) -> FieldSet | None:
    """Return the node of a place, None when neither it nor anything below is in the set."""
    if not below:
        return LEAF if member else None
    return {SELF: LEAF, **below} if member else below
