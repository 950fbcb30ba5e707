"""The store in memory: one process, nothing kept. For tests, trials and as the plainest reading of the contract."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from windlass.errors import CompactedError, GuardError, KeyExistsError, RevisionMismatchError, TooLargeError
from windlass.store.interface import MAX_VALUE_BYTES, Change, ChangeType, Guard, Page, Progress, Stored

HISTORY = 100_000


class MemoryStore:
    """Implements `Store` with a dict and a deque of changes."""

    def __init__(self, history: int = HISTORY) -> None:
        self._items: dict[str, Stored] = {}
        self._changes: deque[Change] = deque()
        self._history = history
        self._revision = 0
        self._compacted = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def known_revision(self) -> int | None:
        """See `Store.known_revision`."""
        return self._revision

    async def start(self) -> None:
        """Nothing to connect."""
        self._closed = False

    async def close(self) -> None:
        """End every watch."""
        self._closed = True
        self._wake()

    async def create(self, key: str, value: bytes, *, guard: Guard | None = None) -> int:
        """See `Store.create`."""
        self._check(value, guard)
        if key in self._items:
            raise KeyExistsError(key)
        return self._put(key, value, self._revision + 1)

    async def update(self, key: str, value: bytes, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.update`."""
        self._check(value, guard)
        return self._put(key, value, self._expect(key, revision).create_revision)

    async def delete(self, key: str, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.delete`."""
        self._check(b"", guard)
        old = self._expect(key, revision)
        self._revision += 1
        del self._items[key]
        self._record(Change(ChangeType.DELETE, key, old.value, self._revision, old.create_revision))
        return self._revision

    async def get(self, key: str) -> Stored | None:
        """See `Store.get`."""
        return self._items.get(key)

    async def list(self, prefix: str, *, limit: int = 0, after: str = "") -> Page:
        """See `Store.list`."""
        keys = sorted(key for key in self._items if key.startswith(prefix) and key > after)
        chosen = keys[:limit] if limit else keys
        return Page([self._items[key] for key in chosen], self._revision, len(chosen) < len(keys))

    async def watch(self, since: int) -> AsyncIterator[Change | Progress]:
        """See `Store.watch`."""
        position = since
        if since > self._revision:
            raise CompactedError(f"revision {since} is ahead of the store, which is at {self._revision}")
        while not self._closed:
            if position < self._compacted:
                raise CompactedError(f"history begins after revision {self._compacted}, {position} was asked for")
            changed = self._changed
            for change in self._newer(position):
                yield change
                position = change.revision
            if position >= self._revision:
                yield Progress(position)
                await changed.wait()

    async def barrier(self) -> int:
        """See `Store.barrier`."""
        return self._revision

    async def compact(self, keep: int) -> None:
        """See `Store.compact`."""
        while len(self._changes) > keep:
            self._compacted = self._changes.popleft().revision

    async def advance(self, revision: int) -> None:
        """See `Store.advance`."""
        if revision > self._revision:
            self._revision = self._compacted = revision
            self._changes.clear()
            self._wake()

    async def ping(self) -> None:
        """Memory always answers."""

    def _check(self, value: bytes, guard: Guard | None) -> None:
        if len(value) > MAX_VALUE_BYTES:
            raise TooLargeError(f"a value of {len(value)} bytes exceeds the store's limit of {MAX_VALUE_BYTES}")
        if guard is not None:
            held = self._items.get(guard.key)
            if held is None or held.revision != guard.revision:
                raise GuardError(f"{guard.key} is no longer at revision {guard.revision}")

    def _expect(self, key: str, revision: int) -> Stored:
        found = self._items.get(key)
        if found is None or found.revision != revision:
            raise RevisionMismatchError(f"{key} is at revision {found.revision if found else None}, not {revision}")
        return found

    def _put(self, key: str, value: bytes, create_revision: int) -> int:
        self._revision += 1
        self._items[key] = Stored(key, value, self._revision, create_revision)
        self._record(Change(ChangeType.PUT, key, value, self._revision, create_revision))
        return self._revision

    def _newer(self, position: int) -> deque[Change]:
        newer: deque[Change] = deque()
        for change in reversed(self._changes):
            if change.revision <= position:
                break
            newer.appendleft(change)
        return newer

    def _record(self, change: Change) -> None:
        self._changes.append(change)
        while len(self._changes) > self._history:
            self._compacted = self._changes.popleft().revision
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
