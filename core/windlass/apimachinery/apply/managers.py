"""The managers of an object's fields: `metadata.managedFields` before and after a write.

The rules are those of Kubernetes' structured merge (KEP-555): what an update changes becomes the updater's, and nobody
else's; who applies owns what was applied, and shares it with whoever applied or set the same values; what is gone is
nobody's. Entries keep the form in which they travel.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from windlass.apimachinery.apply.fieldset import FieldSet, difference, is_field_set, recursive_difference, union
from windlass.apimachinery.apply.shapes import Comparison

Entry = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
"""Manager of what an object had when it was applied to for the first time without anybody having been recorded."""
ANCIENT_CHANGES = "ancient-changes"
MAX_UPDATE_MANAGERS = 10
"""How many updaters keep an entry of their own; the oldest ones beyond share one for each API version."""
MAX_MANAGER = 128


class Writer(NamedTuple):
    """Who writes, how, in which version of the object, through which subresource. Of appliers the version is no part."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def owns(self, entry: Entry) -> bool:
        """Say whether an entry is the writer's own."""
        return (
            entry["manager"] == self.manager
            and entry["operation"] == self.operation
            and entry.get("subresource", "") == self.subresource
            and (self.operation == APPLY or entry["apiVersion"] == self.api_version)
        )

    def entry(self, fields: FieldSet | orjson.Fragment, time: str) -> Entry:
        """Return the writer's entry; its fields may be encoded already."""
        made = {
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version, "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        }
        return {**made, "subresource": self.subresource} if self.subresource else made


def after_update(entries: Sequence[Entry], writer: Writer, differs: Comparison, now: str) -> list[Entry]:
    """Return the entries after an update that made this difference; the same list when it made none."""
    changed, removed = differs.changed or {}, differs.removed or {}
    if not changed and not removed:
        return list(entries)
    kept: list[Entry] = []
    own: FieldSet = {}
    mine: Entry | None = None
    for entry in entries:
        fields = recursive_difference(entry["fieldsV1"], removed) if removed else entry["fieldsV1"]
        if writer.owns(entry):
            own, mine = fields, entry
        elif fields := difference(fields, changed):
            kept.append(entry if fields is entry["fieldsV1"] else {**entry, "fieldsV1": fields})
    own = union(own, changed)
    if not own:
        return kept
    entry = writer.entry(own, now if changed or mine is None else mine.get("time", now))
    in_order = not kept or _order(kept[-1]) < _order(entry)
    kept.append(entry)
    return kept if in_order and len(kept) <= MAX_UPDATE_MANAGERS else ordered(capped(kept))


def capped(entries: list[Entry]) -> list[Entry]:
    """Merge the oldest updaters of each version into one entry, until there are few enough."""
    updaters = sorted((entry for entry in entries if entry["operation"] == UPDATE), key=_age)
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return entries
    first: dict[str, Entry] = {}
    buckets: dict[str, Entry] = {
        entry["apiVersion"]: entry for entry in updaters if entry["manager"] == ANCIENT_CHANGES
    }
    gone: list[Entry] = []
    for entry in updaters:
        version = entry["apiVersion"]
        if excess <= 0:
            break
        if buckets.get(version) is entry or version not in first:
            first.setdefault(version, entry)
            continue
        bucket = buckets.get(version)
        older = bucket or first[version]
        gone += [entry, older]
        fields = union(older["fieldsV1"], entry["fieldsV1"])
        buckets[version] = Writer(ANCIENT_CHANGES, UPDATE, version).entry(fields, entry.get("time", ""))
        excess -= 1
    dropped = {id(entry) for entry in gone}
    merged = [entry for entry in buckets.values() if id(entry) not in dropped and entry not in entries]
    return [entry for entry in entries if id(entry) not in dropped] + merged


def _order(entry: Entry) -> tuple[str, str, str, str, str]:
    return (entry["operation"], *_age(entry))


def _age(entry: Entry) -> tuple[str, str, str, str]:
    return entry.get("time") or "", entry["manager"], entry["apiVersion"], entry.get("subresource", "")


def ordered(entries: list[Entry]) -> list[Entry]:
    """Return the entries in the order in which Kubernetes keeps them: appliers first, then by time."""
    if len(entries) < 2:
        return entries
    return sorted(entries, key=_order)


def readable(value: Any) -> list[Entry] | None:
    """Return entries that a client sent, None when they are not well formed."""
    if not isinstance(value, list) or not all(_is_entry(entry) for entry in value):
        return None
    return [
        {"manager": entry["manager"], "operation": entry["operation"], "apiVersion": entry.get("apiVersion", ""), **entry}
        for entry in value
    ]


def is_reset(value: Any) -> bool:
    """Say whether a client asks to forget all managers: a list of one empty entry."""
    return bool(value == [{}])


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("operation") in (APPLY, UPDATE)
        and entry.get("fieldsType") == "FieldsV1"
        and all(isinstance(entry.get(key, ""), str) for key in ("apiVersion", "time", "subresource"))
        and is_manager(entry.get("manager", ""))
        and is_field_set(entry.get("fieldsV1"))
    )


def is_manager(name: Any) -> bool:
    """Say whether a text can be the name of a manager."""
    return isinstance(name, str) and 0 < len(name) <= MAX_MANAGER and name.isprintable()


def same_but_for_times(one: Sequence[Entry], other: Sequence[Entry]) -> bool:
    """Say whether two lists of entries say the same, whenever it was written."""
    return _timeless(one) == _timeless(other)


def _timeless(entries: Sequence[Entry]) -> list[tuple[str, str, str, str, FieldSet]]:
    return sorted(
        ((entry["operation"], entry["manager"], entry.get("apiVersion", ""), entry.get("subresource", ""), entry["fieldsV1"])
         for entry in entries), key=lambda item: item[:4],
    )
