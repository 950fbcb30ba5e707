"""What the watch cache keeps of an object, and the events that it hands to watchers."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.scheme import KindDefinition


class CachedObject:
    """An object as bytes, with the few fields that selectors ask for. Never mutated.

    `selectable`: the kind's selectable fields beside metadata.name and metadata.namespace; objects share equal ones.
    `position`: place in the order of lists, `namespace/name`.
    """

    __slots__ = (
        "create_revision", "encoded", "labels", "name", "namespace", "position", "revision", "selectable",
    )

    def __init__(
        self,
        obj: dict[str, Any],
        selectable: Mapping[str, str],
        revision: int,
        create_revision: int,
        managed: bytes = b"",
    ) -> None:
        """Take an object without its managed fields, and those as they are encoded."""
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(revision)
        self.namespace: str = sys.intern(metadata.get("namespace", ""))
        self.name: str = metadata["name"]
        self.revision = revision
        self.create_revision = create_revision
        # orjson's result keeps the buffer it was written in, 8 KiB for a small object: keep a copy of the right size.
        self.encoded: bytes = bytes(memoryview(envelope.join(orjson.dumps(obj), managed)))
        self.labels: Mapping[str, str] = _interned(metadata.get("labels") or {})
        self.selectable = selectable
        self.position = f"{self.namespace}/{self.name}"

    @property
    def fields(self) -> Mapping[str, str]:
        """All fields that a field selector may name, made afresh."""
        return {**self.selectable, "metadata.name": self.name, "metadata.namespace": self.namespace}

    @property
    def obj(self) -> dict[str, Any]:
        """The object, parsed afresh: the caller's own copy."""
        return orjson.loads(self.encoded)  # type: ignore[no-any-return]

    @property
    def bare(self) -> dict[str, Any]:
        """The object without its managed fields, parsed afresh: cheaper."""
        return envelope.parse(self.encoded)[0]

    def at(self, revision: int) -> "CachedObject":
        """Return the same object with another resourceVersion, as the event of its going carries it."""
        obj, managed = envelope.parse(self.encoded)
        return CachedObject(obj, self.selectable, revision, self.create_revision, managed)


def _interned(pairs: Mapping[str, str]) -> dict[str, str]:
    return {sys.intern(key): sys.intern(value) for key, value in pairs.items()}


_shared: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
_SHARED_MAXIMUM = 50_000


def selectable(kinds: Sequence[KindDefinition], obj: dict[str, Any]) -> Mapping[str, str]:
    """Return the kind's own selectable fields, over all kinds that share the stored object; equal ones are one dict."""
    fields: dict[str, str] = {}
    for kind in kinds:
        shown = kind.from_storage(obj) if kind.from_storage is not None else obj
        fields.update(kind.strategy.selectable_fields(shown))
    key = tuple(fields.items())
    shared = _shared.get(key)
    if shared is None:
        if len(_shared) >= _SHARED_MAXIMUM:
            _shared.clear()
        shared = _shared[key] = _interned(fields)
    return shared


class CacheEvent(NamedTuple):
    """One event for a watcher. `line` is the encoded watch line, made once and shared by all watchers."""

    type: str
    object: CachedObject
    revision: int
    line: bytes


def make_event(event_type: str, cached: CachedObject, revision: int) -> CacheEvent:
    """Encode an event."""
    line = b'{"type":"%b","object":%b}\n' % (event_type.encode(), cached.encoded)
    return CacheEvent(event_type, cached, revision, line)


class CacheChange:
    """One change of one object, and the events that it can be to different watchers, each encoded once."""

    __slots__ = ("_events", "new", "old", "revision")

    def __init__(self, old: CachedObject | None, new: CachedObject | None, revision: int) -> None:
        self.old = old
        self.new = new
        self.revision = revision
        self._events: dict[str, CacheEvent] = {}

    def added(self) -> CacheEvent:
        """Return the event for who did not see the object before."""
        return self._event("ADDED", self.new)

    def modified(self) -> CacheEvent:
        """Return the event for who saw it before and still does."""
        return self._event("MODIFIED", self.new)

    def deleted(self) -> CacheEvent:
        """Return the event for who saw it before and no longer does: the old object at the new revision."""
        known = self._events.get("DELETED")
        if known is None and self.old is not None:
            known = self._events["DELETED"] = make_event("DELETED", self.old.at(self.revision), self.revision)
        assert known is not None
        return known

    def _event(self, event_type: str, cached: CachedObject | None) -> CacheEvent:
        known = self._events.get(event_type)
        if known is None:
            assert cached is not None
            known = self._events[event_type] = make_event(event_type, cached, self.revision)
        return known

    @property
    def replaced(self) -> bool:
        """Whether old and new are different objects of one name (deleted and created again unseen)."""
        return self.old is not None and self.new is not None and self.old.create_revision != self.new.create_revision

    @property
    def size(self) -> int:
        """Roughly what keeping the change costs, in bytes."""
        return sum(len(cached.encoded) for cached in (self.old, self.new) if cached is not None)
