"""Server-side apply: what a client says an object should be, laid over what it is, field by field and owner by owner."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from windlass.apimachinery.apply.fieldset import (
    LEAF,
    SELF,
    FieldSet,
    difference,
    intersection,
    paths,
    recursive_difference,
    union,
)
from windlass.apimachinery.apply.managers import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Entry,
    Writer,
    capped,
    ordered,
    same_but_for_times,
)
from windlass.apimachinery.apply.shapes import FieldsShape, compare

Obj = dict[str, Any]


class Conflict(NamedTuple):
    """A field that somebody else owns and that would change. `text` names the owner as kubectl prints it."""

    text: str
    path: str


class ConflictsError(Exception):
    """Fields would change that others own; `conflicts` lists them."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__(conflict_message(conflicts))
        self.conflicts = tuple(conflicts)


class Applied(NamedTuple):
    """What an apply makes of an object, and its managers then."""

    obj: Obj
    entries: list[Entry]


def created(shape: FieldsShape, config: Mapping[str, Any], writer: Writer, now: str) -> list[Entry]:
    """Return the managers of an object that an apply makes."""
    fields = shape.extract(dict(config), added=False) or {}
    return [writer.entry(fields, now)] if fields else []


def apply(  # noqa: PLR0913 - what is applied to what, by whom, each by keyword
    shape: FieldsShape, live: Obj, config: Obj, *, entries: Sequence[Entry], writer: Writer, now: str, force: bool
) -> Applied:
    """Apply `config` to `live`; both stay as they are. Raises ConflictsError unless `force`.

    Fields that the writer applied before and no longer names go, unless others own them.
    """
    before = list(entries) or _before_first_apply(shape, live, writer, now)
    mine = next((entry for entry in before if writer.owns(entry)), None)
    others = [entry for entry in before if entry is not mine]
    applied = shape.extract(config, added=False) or {}
    merged = shape.merge(live, config)
    if mine is not None:
        merged = _pruned(shape, merged, mine["fieldsV1"], [applied, *(entry["fieldsV1"] for entry in others)])
    differs = compare(shape, live, merged)
    changed, removed = differs.changed or {}, differs.removed or {}
    conflicts = [] if force else conflicts_of(others, changed)
    if conflicts:
        raise ConflictsError(conflicts)
    left = [_without(entry, changed, removed) for entry in others]
    after = [entry for entry in left if entry["fieldsV1"]]
    if applied:
        after.append(writer.entry(applied, now))
    after = ordered(capped(after))
    if mine is not None and not changed and not removed and same_but_for_times(after, before):
        return Applied(merged, list(entries))
    return Applied(merged, after)


def _before_first_apply(shape: FieldsShape, live: Obj, writer: Writer, now: str) -> list[Entry]:
    """Record who was before: nobody knows, so that a conflict is seen all the same."""
    fields = shape.extract(live, added=True)
    return [Writer(BEFORE_FIRST_APPLY, UPDATE, writer.api_version).entry(fields, now)] if fields else []


def _without(entry: Entry, changed: FieldSet, removed: FieldSet) -> Entry:
    fields = difference(recursive_difference(entry["fieldsV1"], removed), changed)
    return entry if fields == entry["fieldsV1"] else {**entry, "fieldsV1": fields}


def _pruned(shape: FieldsShape, merged: Obj, last: FieldSet, owned: Sequence[FieldSet]) -> Obj:
    """Return the object without what was applied last and is nobody's now.

    An object that is a field of another one stays while somebody owns a field below it; an item of a list goes with
    all its fields when nobody owns the item itself.
    """
    kept: FieldSet = {"f:metadata": LEAF}  # the name is in there: whoever applies names it
    for fields in owned:
        kept = union(kept, fields)
    gone = difference(with_parents(last), with_parents(kept))
    return dict(shape.prune(merged, gone)) if gone else merged


def with_parents(fields: FieldSet) -> FieldSet:
    """Return the set with every named field above a member; not the items of lists."""
    made: FieldSet = {}
    for step, node in fields.items():
        if step == SELF or not node:
            made[step] = node
        elif step.startswith("f:") and SELF not in node:
            made[step] = {SELF: LEAF, **with_parents(node)}
        else:
            made[step] = with_parents(node)
    return made


def conflicts_of(others: Sequence[Entry], changed: FieldSet) -> list[Conflict]:
    """Return the changed fields that others own, by owner."""
    return [
        Conflict(manager_text(entry), path)
        for entry in sorted(others, key=lambda entry: (entry["manager"], entry["operation"]))
        for path in paths(intersection(entry["fieldsV1"], changed))
    ]


def manager_text(entry: Entry) -> str:
    """Return an owner as kubectl prints it: `"kubectl" using apps/v1`."""
    text = f'"{entry["manager"]}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return text if entry["operation"] == APPLY else f"{text} using {entry['apiVersion']}"


def conflict_message(conflicts: Sequence[Conflict]) -> str:
    """Return kubectl's sentence for conflicts."""
    if len(conflicts) == 1:
        return f"Apply failed with 1 conflict: conflict with {conflicts[0].text}: {conflicts[0].path}"
    by_owner: dict[str, list[str]] = {}
    for conflict in conflicts:
        by_owner.setdefault(conflict.text, []).append(conflict.path)
    lines = [
        line for owner, found in sorted(by_owner.items())
        for line in (f"conflicts with {owner}:", *(f"- {path}" for path in found))
    ]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
