"""The SQLite implementation of `Store`."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from windlass.errors import CompactedError, StoreUnavailableError, TooLargeError
from windlass.logs import get_logger
from windlass.store.interface import MAX_VALUE_BYTES, Change, Guard, Page, Progress, Stored
from windlass.store.sqlite import database
from windlass.store.sqlite.committer import Committer
from windlass.store.sqlite.filebell import FileBell
from windlass.store.sqlite.group import Advance, Compaction, Operation

RECENT_CHANGES = 10_000
READ_CHANGES = 1_000
LOOKS_SECONDS = (0.001, 0.002, 0.004, 0.01, 0.02, 0.05)
"""Pauses after which to look for a commit whose write was noticed: it shows only after its fsync."""
SAFETY_SECONDS = 1.0
T = TypeVar("T")
log = get_logger(__name__)


class SqliteStore:
    """A store in one file. `shared`: other processes commit to the file too, so their commits are looked for."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        self._shared = shared
        self._committer: Committer | None = None
        self._reader: sqlite3.Connection | None = None
        self._pool = ThreadPoolExecutor(1, "sqlite-reader")
        self._recent: deque[Change] = deque(maxlen=RECENT_CHANGES)
        self._recent_start = 0
        self._revision = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._stirred = asyncio.Event()
        self._bell: FileBell | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def known_revision(self) -> int | None:
        """See `Store.known_revision`."""
        return None if self._shared or self._committer is None else self._revision

    async def start(self) -> None:
        """Open the file and make its tables."""
        if self._committer is not None:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._reader = await self._in_thread(self._open)
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path}: {error}") from error
        self._revision = self._recent_start = await self._read(database.last_revision)
        self._committer = Committer(self._path, asyncio.get_running_loop(), self._committed)
        if self._shared:
            self._bell = FileBell(self._path.with_name(f"{self._path.name}-wal"), self._stirred.set)
            self._looking = asyncio.create_task(self._look_for_others())

    async def close(self) -> None:
        """Finish commits, end watches, close the file."""
        self._closed = True
        self._wake()
        if self._bell is not None and self._looking is not None:
            self._bell.close()
            self._looking.cancel()
            await asyncio.wait((self._looking,))
        if self._committer is not None:
            await asyncio.to_thread(self._committer.close)
            self._committer = None
            await self._read(lambda reader: reader.close())
        self._pool.shutdown()

    async def create(self, key: str, value: bytes, *, guard: Guard | None = None) -> int:
        """See `Store.create`."""
        _check_size(value)
        return await self._commit(Operation(key, value, guard=guard))

    async def update(self, key: str, value: bytes, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.update`."""
        _check_size(value)
        # No key is ever at revision 0, which would create one.
        return await self._commit(Operation(key, value, revision or -1, guard))

    async def delete(self, key: str, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.delete`."""
        return await self._commit(Operation(key, None, revision or -1, guard))

    async def get(self, key: str) -> Stored | None:
        """See `Store.get`."""
        return await self._read(lambda reader: database.read_one(reader, key))

    async def list(self, prefix: str, *, limit: int = 0, after: str = "") -> Page:
        """See `Store.list`."""
        items, revision, more = await self._read(lambda reader: database.read_page(reader, prefix, after, limit))
        return Page(items, revision, more)

    async def watch(self, since: int) -> AsyncIterator[Change | Progress]:
        """See `Store.watch`."""
        position = since
        if since > await self.barrier():
            raise CompactedError(f"revision {since} is ahead of the store: was it restored from a backup?")
        while not self._closed:
            changed = self._changed
            for change in await self._changes_after(position):
                yield change
                position = change.revision
            if position >= self._revision:
                yield Progress(position)
                await changed.wait()

    async def barrier(self) -> int:
        """See `Store.barrier`."""
        if self._shared:
            await self._look()
        return self._revision

    async def compact(self, keep: int) -> None:
        """See `Store.compact`."""
        await self._started().commit(Compaction(keep))
        while len(self._recent) > keep:
            self._recent_start = self._recent.popleft().revision

    async def advance(self, revision: int) -> None:
        """See `Store.advance`."""
        await self._started().commit(Advance(revision))
        if revision > self._revision:
            self._recent.clear()
            self._revision = self._recent_start = revision
            self._wake()

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._read(database.last_revision)

    def _open(self) -> sqlite3.Connection:
        connection = database.connect(self._path)
        connection.executescript(database.SCHEMA)
        return connection

    def _started(self) -> Committer:
        if self._committer is None:
            raise StoreUnavailableError("the SQLite store is not open")
        return self._committer

    async def _commit(self, operation: Operation) -> int:
        change = await self._started().commit(operation)
        assert change is not None
        return change.revision

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        reader = self._reader
        if reader is None:
            raise StoreUnavailableError("the SQLite store is not open")
        try:
            return await self._in_thread(lambda: query(reader))
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"SQLite could not read: {error}") from error

    def _committed(self, changes: Sequence[Change]) -> None:
        """Take our own commits; what other processes committed in between is read from the table by the watch."""
        for change in changes:
            if change.revision == self._revision + 1:
                self._append(change)
        if changes:
            self._wake()

    def _append(self, change: Change) -> None:
        if len(self._recent) == self._recent.maxlen:
            self._recent_start = self._recent[0].revision
        self._recent.append(change)
        self._revision = change.revision

    async def _changes_after(self, position: int) -> Sequence[Change]:
        if position >= self._recent_start:
            return self._newest_after(position)
        compacted = await self._read(database.compacted_revision)
        if position < compacted:
            raise CompactedError(f"history begins after revision {compacted}, {position} was asked for")
        return await self._read(lambda reader: database.read_changes(reader, position, READ_CHANGES))

    def _newest_after(self, position: int) -> Sequence[Change]:
        found: deque[Change] = deque()
        for change in reversed(self._recent):
            if change.revision <= position:
                break
            found.appendleft(change)
        return found

    async def _look_for_others(self) -> None:
        """Look after each write to the log, by whichever process; and now and then without one."""
        while True:
            looks: Sequence[float] = LOOKS_SECONDS
            try:
                async with asyncio.timeout(SAFETY_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                looks = (0.0,)
            self._stirred.clear()
            try:
                for pause in looks:
                    await self._look()
                    await asyncio.sleep(pause)
            except StoreUnavailableError as error:
                log.warning("sqlite_cannot_look_for_commits", reason=str(error))

    async def _look(self) -> None:
        """Read what other processes committed, all of it."""
        while True:
            found = await self._read(lambda reader: database.read_changes(reader, self._revision, READ_CHANGES))
            for change in found:
                if change.revision > self._revision:
                    self._append(change)
            if found:
                self._wake()
            if len(found) < READ_CHANGES:
                return

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _check_size(value: bytes) -> None:
    if len(value) > MAX_VALUE_BYTES:
        raise TooLargeError(f"a value of {len(value)} bytes exceeds the store's limit of {MAX_VALUE_BYTES}")
