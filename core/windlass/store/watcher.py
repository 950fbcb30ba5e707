"""One watcher of one kind: a bounded buffer that the cache fills synchronously."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from windlass.apimachinery.selectors import FieldSelector, LabelSelector
from windlass.errors import CompactedError, WindlassError
from windlass.store.cached import CacheChange, CachedObject, CacheEvent

BUFFER_EVENTS = 8192


class SlowWatcherError(WindlassError):
    """The watcher did not take its events in time; its buffer was full and has been dropped."""


class Watcher:
    """Events of the objects that a selection selects, in order. Iterate, or take `next_batch`."""

    def __init__(
        self,
        namespace: str,
        labels: LabelSelector | None,
        fields: FieldSelector | None,
        on_close: "Callable[[Watcher], None]",
    ) -> None:
        self.namespace = namespace
        self.labels = None if labels is None or labels.empty else labels
        self.fields = fields if fields is not None and fields.requirements else None
        self._events: deque[CacheEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: WindlassError | None = None
        self._closed = False
        self._on_close = on_close

    @property
    def pending(self) -> int:
        """How many events wait to be taken."""
        return len(self._events)

    @property
    def index_key(self) -> tuple[str, str] | None:
        """A (field, value) that every selected object has, for finding this watcher quickly; None without one."""
        if self.fields is not None:
            for name, operator, value in self.fields.requirements:
                if operator == "=":
                    return name, value
        return None

    def offer(self, change: CacheChange) -> None:
        """Take a change if it concerns the selection: as an object that comes, changes or goes."""
        before = change.old is not None and self._selects(change.old)
        after = change.new is not None and self._selects(change.new)
        if before and (not after or change.replaced):
            self._append(change.deleted())
        if after:
            self._append(change.modified() if before and not change.replaced else change.added())

    async def next_batch(self) -> list[CacheEvent]:
        """Wait for events and take all that are there. [] when closed. Raises SlowWatcherError, CompactedError."""
        while not self._events:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        batch = list(self._events)
        self._events.clear()
        return batch

    async def __aiter__(self) -> AsyncIterator[CacheEvent]:
        while batch := await self.next_batch():
            for event in batch:
                yield event

    def fail(self, error: CompactedError | SlowWatcherError) -> None:
        """End the watcher with an error, dropping what it has not taken."""
        self._failure = error
        self._events.clear()
        self._wake()
        self._on_close(self)

    def close(self) -> None:
        """End the watcher. Idempotent."""
        self._closed = True
        self._wake()
        self._on_close(self)

    def _selects(self, cached: CachedObject) -> bool:
        return (
            (not self.namespace or cached.namespace == self.namespace)
            and (self.labels is None or self.labels.matches(cached.labels))
            and (self.fields is None or self.fields.matches(cached.fields))
        )

    def _append(self, event: CacheEvent) -> None:
        if self._failure is not None:
            return
        if len(self._events) >= BUFFER_EVENTS:
            self.fail(SlowWatcherError(f"{BUFFER_EVENTS} events were waiting to be taken"))
            return
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None
