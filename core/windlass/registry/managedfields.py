"""Record who owns which field: `metadata.managedFields`, at every create, update and patch."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.apply.kinds import UNOWNED_METADATA, object_shape
from windlass.apimachinery.apply.managers import (
    UPDATE,
    Entry,
    Writer,
    after_update,
    is_reset,
    ordered,
    readable,
    same_but_for_times,
)
from windlass.apimachinery.apply.shapes import SAME, Comparison, FieldsShape, compare
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.clock import rfc3339
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.current import Current
from windlass.registry.options import Body, RequestContext

_REMEMBERED_BYTES = 16 * 1024
Recorder = Callable[[Obj, Current | None, Any], bytes]
"""Says who owns what: takes the new object, the current one (None: it is created) and the `managedFields` that were sent.

Returns the managed fields to store, encoded. It is called with what the write means, before admission.
"""


def shape_for(kind: KindDefinition, subresource: str = "") -> FieldsShape:
    """Return what of a kind's objects is owned by whoever writes to this endpoint."""
    return object_shape(kind.schema, "status" if subresource == "status" else "", has_status="status" in kind.subresources)


def update_recorder(backend: Backend, context: RequestContext, target: Target) -> Recorder:
    """Return the recorder of creates, updates and patches: what a write changes is the writer's."""
    shape = shape_for(target.kind, target.subresource)
    writer = Writer(context.manager, UPDATE, target.kind.api_version, target.subresource)

    def record(new: Obj, current: Current | None, sent: Any) -> bytes:
        now = _second(int(backend.clock.now().timestamp()))
        if current is None:
            return _created(shape, new, writer, _sent(sent, []) if sent else [], now)
        if not sent or target.subresource:
            if not current.managed:
                return b""  # nobody was recorded: only an apply begins the record anew
            differs = compare(shape, current.obj, new)
            if differs == SAME:
                return current.managed
            return _after_update(current.managed, writer, differs, now)
        live = envelope.entries_of(current.managed)
        entries = _sent(sent, live)
        after = after_update(entries, writer, compare(shape, current.obj, new), now) if entries else []
        return current.managed if after == live else envelope.dump(after)

    return record


def _after_update(managed: bytes, writer: Writer, differs: Comparison, now: str) -> bytes:
    before = envelope.entries_of(managed)
    after = after_update(before, writer, differs, now)
    if after[-1:] != before[-1:] and _same_fields(before, after):
        return envelope.retimed(managed, now)  # nearly every update: its last writer writes again
    return envelope.dump(after)


def _same_fields(before: list[Entry], after: list[Entry]) -> bool:
    """Say whether two records differ in the time of the last entry alone, at most. Entries share what did not change."""
    if len(before) != len(after) or any(old is not new for old, new in zip(before[:-1], after[:-1], strict=True)):
        return False
    old, new = before[-1], after[-1]
    timeless = {**old, "time": ""} == {**new, "time": ""}
    return timeless and new["fieldsV1"] is old["fieldsV1"] and len(old.get("time", "")) == len(new["time"])


def _created(shape: FieldsShape, new: Obj, writer: Writer, base: list[Entry], now: str) -> bytes:
    if base:
        return envelope.dump(after_update(base, writer, compare(shape, {}, new), now))
    fields = _fields_of(shape, new)
    return orjson.dumps([writer.entry(orjson.Fragment(fields), now)]) if fields != b"{}" else b""


def _fields_of(shape: FieldsShape, obj: Obj) -> bytes:
    """Return the fields of a new object, encoded. Objects of one template have the same ones: they are found once."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in UNOWNED_METADATA}
    said = {**obj, "metadata": metadata}
    key = orjson.dumps(said) if "spec" in obj else b""
    if not key or len(key) > _REMEMBERED_BYTES:
        return orjson.dumps(shape.extract(said, added=True) or {})
    return _fields_of_template(shape, key)


@lru_cache(maxsize=256)
def _fields_of_template(shape: FieldsShape, encoded: bytes) -> bytes:
    return orjson.dumps(shape.extract(orjson.loads(encoded), added=True) or {})


@lru_cache(maxsize=8)
def _second(timestamp: int) -> str:
    return rfc3339(datetime.fromtimestamp(timestamp, UTC))


def _sent(sent: Any, live: list[Entry]) -> list[Entry]:
    """Return the entries to start from: the client's, where it sent any, else the stored ones.

    Clients that know nothing of managed fields leave them out; that forgets nothing. Bad entries count as left out.
    """
    if not sent or sent == live:
        return live
    if is_reset(sent):
        return []
    entries = readable(sent)
    return live if not entries or same_but_for_times(entries, live) else ordered(entries)


def split_managers(body: Body) -> tuple[Body, Any]:
    """Take a list of managed fields out of a body: the decoder need not see it."""
    value = body.value
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("managedFields"), list):
        return body, None
    rest = {key: item for key, item in metadata.items() if key != "managedFields"}
    return Body({**value, "metadata": rest}, body.duplicates), metadata["managedFields"]
