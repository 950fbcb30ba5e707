"""The change log: segments of sequential entries, where it ends, and how it is followed."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from kazoo.exceptions import BadVersionError, KazooException, NodeExistsError, NoNodeError, RolledBackError

from windlass.errors import CompactedError, StoreUnavailableError
from windlass.logs import get_logger
from windlass.store.zookeeper.entry import SEAL
from windlass.store.zookeeper.paths import ENTRY_PREFIX, LOG, entry_path, segment_path
from windlass.store.zookeeper.session import LOST, Session

SEGMENT_ENTRIES = 8192
READ_AHEAD = 64
DELETE_BATCH = 500
WAIT_SECONDS = 30.0
log = get_logger(__name__)


class Position(NamedTuple):
    """The place of an entry: the next one to read, or the end of the log."""

    segment: int
    sequence: int


class RawEntry(NamedTuple):
    """An entry as it is stored."""

    position: Position
    data: bytes
    revision: int


class ChangeLog:
    """Knows the current segment's version, which every commit checks."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.segment = 0
        self.version = 0
        self._sealing = asyncio.Lock()

    async def open(self) -> None:
        """Find the current segment, making the first one in an empty tree."""
        if not await self._segments():
            try:
                await self._session.read(lambda zk: zk.create_async(segment_path(0), b""))
            except NodeExistsError:
                log.debug("first_segment_made_by_another_server")
        await self.refresh()

    async def refresh(self) -> None:
        """Look up the newest segment and its version."""
        self.segment = max(await self._segments())
        _, stat = await self._session.read(lambda zk: zk.get_async(segment_path(self.segment)))
        self.version = stat.version

    async def seal(self, segment: int) -> None:
        """End a segment that is full and begin the next one: one multi, which only one server wins."""
        async with self._sealing:
            if segment != self.segment:
                return
            transaction = self._session.raw.transaction()
            transaction.set_data(segment_path(segment), b"sealed", version=self.version)
            transaction.create(f"{segment_path(segment)}/{ENTRY_PREFIX}", SEAL, sequence=True)
            transaction.create(segment_path(segment + 1), b"")
            results = await self._session.read(lambda _zk: transaction.commit_async())
            failed = [r for r in results if isinstance(r, KazooException) and not isinstance(r, RolledBackError)]
            if failed and not isinstance(failed[0], BadVersionError | NodeExistsError):
                raise StoreUnavailableError(f"the log segment could not be sealed: {failed[0]!r}")
            await self.refresh()

    async def tail(self) -> tuple[Position, int]:
        """Return the end of the log, behind a sync, and the revision of its last entry."""
        segment = self.segment
        sync = self._session.submit(lambda zk: zk.sync_async("/"))
        while True:
            data, stat = await self._session.read(lambda zk, s=segment: zk.get_async(segment_path(s)))
            if data != b"sealed":
                break
            segment += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await sync
        except (*LOST, TimeoutError) as error:
            raise StoreUnavailableError(f"ZooKeeper did not sync: {type(error).__name__}") from error
        if not stat.numChildren:
            return Position(segment, 0), stat.czxid
        last = await self._session.read(lambda zk: zk.exists_async(entry_path(segment, stat.numChildren - 1)))
        return Position(segment, stat.numChildren), last.czxid if last else stat.czxid

    async def find(self, since: int) -> Position:
        """Return the position of the first entry after a revision. Raises CompactedError."""
        segments = sorted(await self._segments())
        made = [
            (await self._session.read(lambda zk, s=segment: zk.exists_async(segment_path(s)))).czxid
            for segment in segments
        ]
        reachable = [segment for segment, revision in zip(segments, made, strict=True) if revision <= since]
        if not reachable:
            if segments[0] == 0:
                return Position(0, 0)
            raise CompactedError(f"history begins after revision {made[0]}, {since} was asked for")
        return Position(reachable[-1], await self._first_after(reachable[-1], since))

    async def _first_after(self, segment: int, since: int) -> int:
        stat = await self._session.read(lambda zk: zk.exists_async(segment_path(segment)))
        low, high = 0, stat.numChildren
        while low < high:
            middle = (low + high) // 2
            entry = await self._session.read(lambda zk, m=middle: zk.exists_async(entry_path(segment, m)))
            if entry is None or entry.czxid > since:
                high = middle
            else:
                low = middle + 1
        return low

    async def follow(self, position: Position) -> AsyncIterator[RawEntry | None]:
        """Yield entries in order from a position on, and None each time the end is reached. Waits there by a watch.

        Raises CompactedError when the segment has been trimmed away, StoreUnavailableError when the connection goes.
        """
        segment, sequence = position
        while True:
            entries, ended = await self._read_ahead(segment, sequence)
            for entry in entries:
                if entry.data == SEAL:
                    segment, sequence = segment + 1, 0
                    break
                yield entry
                sequence += 1
            if ended and not (entries and entries[-1].data == SEAL):
                yield None
                await self._wait_for(segment, sequence)

    async def _read_ahead(self, segment: int, sequence: int) -> tuple[list[RawEntry], bool]:
        """Read the entries that are there, pipelined; say whether the end was met."""
        wanted = range(sequence, sequence + READ_AHEAD)
        calls = [self._session.submit(lambda zk, n=n: zk.get_async(entry_path(segment, n))) for n in wanted]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                answers = await asyncio.gather(*calls, return_exceptions=True)
        except TimeoutError:
            raise StoreUnavailableError("ZooKeeper did not answer the follower") from None
        found: list[RawEntry] = []
        for number, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, NoNodeError):
                return found, True
            if isinstance(answer, BaseException):
                raise StoreUnavailableError(f"the follower lost ZooKeeper: {type(answer).__name__}") from answer
            data, stat = answer
            found.append(RawEntry(Position(segment, number), data, stat.czxid))
            if data == SEAL:
                return found, True
        return found, False

    async def _wait_for(self, segment: int, sequence: int) -> None:
        """Wait until an entry is made, by an `exists` watch. A watch that is silent for long is set anew."""
        while True:
            made = asyncio.Event()
            path = entry_path(segment, sequence)
            stat = await self._session.read(lambda zk, p=path, m=made: zk.exists_async(p, watch=self._session.wake(m)))
            if stat is not None:
                return
            if await self._session.read(lambda zk: zk.exists_async(segment_path(segment))) is None:
                raise CompactedError(f"log segment {segment} has been trimmed")
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await made.wait()
            except TimeoutError:
                log.debug("follower_sets_its_watch_anew", segment=segment, sequence=sequence)
                continue
            if not self._session.connected:
                await self._session.wait_connected(WAIT_SECONDS)

    async def trim(self, keep: int) -> None:
        """Remove whole sealed segments beyond the newest `keep` entries."""
        segments = sorted(await self._segments())
        kept = 0
        for segment in reversed(segments):
            stat = await self._session.read(lambda zk, s=segment: zk.exists_async(segment_path(s)))
            if segment != segments[-1] and kept >= keep:
                await self._remove(segment)
            elif stat is not None:
                kept += stat.numChildren

    async def _remove(self, segment: int) -> None:
        children = await self._session.read(lambda zk: zk.get_children_async(segment_path(segment)))
        for start in range(0, len(children), DELETE_BATCH):
            transaction = self._session.raw.transaction()
            for name in sorted(children)[start : start + DELETE_BATCH]:
                transaction.delete(f"{segment_path(segment)}/{name}")
            await self._session.read(lambda _zk, t=transaction: t.commit_async())
        try:
            await self._session.read(lambda zk: zk.delete_async(segment_path(segment)))
        except NoNodeError:
            log.debug("segment_trimmed_by_another_server", segment=segment)

    async def _segments(self) -> list[int]:
        names = await self._session.read(lambda zk: zk.get_children_async(LOG))
        return [int(name) for name in names if name.isdecimal()]
