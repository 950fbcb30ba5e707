"""The log of changes: numbered segments of sequential entries; places in it; sealing; scanning."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.protocol.serialization import (
    CheckVersion,
    Create,
    Exists,
    GetChildren,
    GetData,
    SetData,
    Sync,
    Transaction,
)

from windlass.errors import CompactedError, UnknownOutcomeError
from windlass.store.zookeeper.connection import Connection
from windlass.store.zookeeper.layout import MalformedZnodeError, Paths, decode_entry

OPEN, SEALED, TRIMMED = 0, 1, 2
"""A segment's state is its znode's version."""

SCAN_WINDOW = 128


class Place(NamedTuple):
    """A position in the log: the next entry to read."""

    segment: int
    sequence: int


@dataclass(slots=True)
class _Scan:
    """What a sealed segment holds from `start` on: commit ids and their revisions."""

    start: int
    found: dict[str, int] = field(default_factory=dict)
    complete: bool = False


class ChangeLog:
    """Knows the open segment. `newest_sequence` is an entry known to be in it: a lost commit comes after it."""

    def __init__(self, connection: Connection, paths: Paths) -> None:
        self._connection = connection
        self._paths = paths
        self._scans: dict[int, _Scan] = {}
        self._scanning = asyncio.Lock()
        self.current = 0
        self.newest_sequence = -1

    async def open(self) -> None:
        """Find the newest segment."""
        self.current = max(await self.segments())
        self.newest_sequence = -1

    async def segments(self) -> list[int]:
        """Return the numbers of all segments, oldest first."""
        children = await self._connection.call(GetChildren(self._paths.log, None))
        return sorted(int(name) for name in children if name.isdigit())

    def check(self) -> tuple[int, CheckVersion]:
        """Return the open segment and the operation that makes a commit fail when it is sealed."""
        return self.current, CheckVersion(self._paths.segment(self.current), OPEN)

    def note_entry(self, segment: int, sequence: int) -> None:
        """Learn that an entry exists."""
        if segment > self.current:
            self.current, self.newest_sequence = segment, sequence
        elif segment == self.current:
            self.newest_sequence = max(self.newest_sequence, sequence)

    async def advance(self, segment: int) -> None:
        """Move on from a segment that was found sealed."""
        if segment == self.current:
            newest = max(await self.segments())
            if newest > self.current:
                self.current, self.newest_sequence = newest, -1

    async def seal(self, segment: int) -> None:
        """Make sure that a segment takes no further entry, and that the next one exists. Idempotent."""
        operations = [
            SetData(self._paths.segment(segment), b"", OPEN),
            Create(self._paths.segment(segment + 1), b"", self._connection.acl, 0),
        ]
        results = await self._connection.call(Transaction(operations))
        errors = [result for result in results if isinstance(result, Exception)]
        unexpected = [error for error in errors if isinstance(error, NodeExistsError)]
        if unexpected:
            raise unexpected[0]
        if not errors:
            self.note_entry(segment + 1, -1)
        else:
            await self.advance(segment)

    async def barrier(self) -> int:
        """Return the revision of the newest commit, after this server has caught up with the leader."""
        while True:
            segment = self.current
            _, answer = await self._connection.answers(
                [Sync(self._paths.log), Exists(self._paths.segment(segment), None)]
            )
            stat = answer.get()
            if stat is not None and stat.version == OPEN:
                return int(stat.pzxid)
            await self.advance(segment)

    async def locate(self, since: int) -> Place:
        """Find the first entry after a revision. Raises CompactedError when history does not reach back, or ahead."""
        newest = await self.barrier()
        if since > newest:
            raise CompactedError(f"revision {since} is ahead of the store, which is at {newest}: was it restored?")
        numbers = await self.segments()
        answers = await self._connection.answers([Exists(self._paths.segment(number), None) for number in numbers])
        stats = [(number, answer.get()) for number, answer in zip(numbers, answers, strict=True)]
        kept = [(number, stat) for number, stat in stats if stat is not None and stat.version < TRIMMED]
        started = [(number, stat) for number, stat in kept if stat.czxid <= since]
        if not started:
            if kept and kept[0][0] == 0:
                return Place(0, 0)
            raise CompactedError(f"history begins after revision {since}")
        number, stat = started[-1]
        return Place(number, await self._bisect(number, entry_count(stat), since))

    async def _bisect(self, segment: int, count: int, since: int) -> int:
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            stat = await self._connection.call(Exists(self._paths.entry(segment, middle), None))
            if stat is None:
                raise CompactedError("the segment is being trimmed")
            low, high = (middle + 1, high) if stat.czxid <= since else (low, middle)
        return low

    async def settle(self, commit_id: str, segment: int, start: int) -> int | None:
        """Find out for certain whether a commit to a segment happened; return its revision, None when it never will.

        Raises UnknownOutcomeError when the segment has been trimmed meanwhile.
        """
        async with self._scanning:
            scan = self._scans.get(segment)
            if scan is None:
                await self.seal(segment)
                scan = self._scans.setdefault(segment, _Scan(start))
            if not scan.complete:
                await self._read_into(scan, segment, start, None)
                scan.start, scan.complete = start, True
            elif start < scan.start:
                await self._read_into(scan, segment, start, scan.start)
                scan.start = start
            for old in sorted(self._scans)[:-8]:
                del self._scans[old]
            return scan.found.get(commit_id)

    async def _read_into(self, scan: _Scan, segment: int, start: int, end: int | None) -> None:
        sequence = start
        while end is None or sequence < end:
            upto = sequence + SCAN_WINDOW if end is None else min(sequence + SCAN_WINDOW, end)
            requests: list[Any] = [Sync(self._paths.log)]
            requests += [GetData(self._paths.entry(segment, number), None) for number in range(sequence, upto)]
            requests.append(Exists(self._paths.segment(segment), None))
            _, *answers, state = await self._connection.answers(requests)
            stat = state.get()
            if stat is None or stat.version >= TRIMMED:
                raise UnknownOutcomeError("the log was trimmed while a lost commit was looked for")
            for answer in answers:
                if isinstance(answer.error, NoNodeError):
                    return
                data, entry_stat = answer.get()
                _note(scan, data, entry_stat.czxid)
            sequence = upto


def _note(scan: _Scan, data: bytes, revision: int) -> None:
    try:
        scan.found[decode_entry(data).commit_id] = revision
    except MalformedZnodeError:  # written by somebody else: not our commit, and the follower reports it
        return


def entry_count(stat: Any) -> int:
    """Return how many entries a segment ever had. ZooKeeper shows creations plus deletions as `cversion`."""
    return int(stat.cversion + stat.numChildren) // 2
