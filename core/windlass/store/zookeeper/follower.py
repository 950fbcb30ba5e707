"""Follows the log: entries in sequence, read ahead in a window, then one `exists` watch on the next.

What this process committed itself is not read back: the committer offers the entry, and the follower takes it when it
stands at its place. An entry never changes once it is there, so order and completeness are those of the log: any other
entry, and every doubt, is read from the ensemble.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from kazoo.exceptions import NoNodeError
from kazoo.protocol.serialization import Exists, GetData

from windlass.errors import CompactedError, StoreUnavailableError
from windlass.logs import get_logger
from windlass.store.interface import Change, Progress
from windlass.store.zookeeper.changelog import OPEN, TRIMMED, ChangeLog, Place
from windlass.store.zookeeper.connection import Answer, Connection
from windlass.store.zookeeper.layout import EntryNode, MalformedZnodeError, Paths, decode_entry

WINDOW = 128
RETRY_SECONDS = 0.05
LINGER_SECONDS = 0.01
"""How long a follower that lives on our own commits goes without looking for those of others, unless told of one."""
OFFERED = 8192
log = get_logger(__name__)


class Follower:
    """One watch of the whole store. Keeps its place over lost connections and sessions."""

    def __init__(
        self,
        connection: Connection,
        change_log: ChangeLog,
        paths: Paths,
        on_entry: Callable[[EntryNode, int, int], None],
    ) -> None:
        self._connection = connection
        self._log = change_log
        self._paths = paths
        self._on_entry = on_entry
        self._wake = asyncio.Event()
        self._window = 8
        self._place = Place(0, 0)
        self._revision = 0
        self._armed = False
        self._sealed = False
        self._idle = False
        self._stopped = False
        self._look = True
        self._offered: dict[Place, tuple[EntryNode, int]] = {}
        self._newest_offered = 0
        self.malformed = 0

    def stop(self) -> None:
        """End the watch."""
        self._stopped = True
        self._wake.set()

    def offer(self, segment: int, sequence: int, entry: EntryNode, revision: int) -> None:
        """Hand over an entry that this process has committed. Those beyond a bound are read like anybody's."""
        place = Place(segment, sequence)
        if entry.blob or place < self._place or len(self._offered) >= OFFERED:
            return
        self._offered[place] = entry, revision
        self._newest_offered = revision
        self._wake.set()

    def expect(self, revision: int) -> None:
        """Learn of a revision that there is: unless our own commits account for it, it is another's, so look now."""
        if revision > max(self._revision, self._newest_offered):
            self._look = True
            self._wake.set()

    async def follow(self, since: int) -> AsyncGenerator[Change | Progress, None]:
        """Yield all changes after a revision. Raises CompactedError; StoreUnavailableError when closed."""
        self._revision = since
        located = False
        while not self._stopped:
            try:
                if not located:
                    self._place, located = await self._log.locate(since), True
                own = await self._own()
                for item in own if own is not None else await self._read():
                    yield item
                if self._idle:
                    await self._wake.wait()
            except StoreUnavailableError as error:
                log.info("zookeeper_follower_waits", reason=str(error))
                self._armed, self._look = False, True
                if self._stopped:
                    return
                await self._connection.wait_connected()
                await asyncio.sleep(RETRY_SECONDS)

    async def _own(self) -> list[Change | Progress] | None:
        """Take the offered entries at our place; None when the ensemble must be asked.

        After some, wait a moment for more. An offer further on shows that another's entry is before it.
        """
        changes: list[Change | Progress] = []
        while (offer := self._offered.pop(self._place, None)) is not None:
            entry, revision = offer
            changes.append(Change(entry.type, entry.key, entry.value, revision, entry.create_revision or revision))
            self._place = Place(self._place.segment, self._place.sequence + 1)
            self._revision = revision
        if changes:
            self._idle, self._look = False, False
            return changes
        for passed in [place for place in self._offered if place < self._place]:
            del self._offered[passed]
        if self._look or self._offered or not self._armed:
            return None
        self._wake.clear()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            self._look = True
        return []

    async def _read(self) -> list[Change | Progress]:
        """Read one window; at the end of what there is, watch for more and become idle."""
        self._wake.clear()
        self._idle, self._look = False, True
        segment, first = self._place
        requests: list[Any] = []
        arming = not self._armed
        if arming:
            self._armed = True
            requests.append(GetData(self._paths.segment(segment), self._on_segment_event))
        requests += [GetData(self._paths.entry(segment, first + ahead), None) for ahead in range(self._window)]
        answers = await self._connection.answers(requests)
        if arming:
            self._note_segment(answers.pop(0))
        return await self._take_all(answers)

    async def _take_all(self, answers: list[Answer]) -> list[Change | Progress]:
        """Take the entries up to the first that is not there. What was taken is returned even if a later one fails."""
        changes: list[Change | Progress] = []
        for answer in answers:
            if isinstance(answer.error, NoNodeError):
                return changes or await self._at_end()
            try:
                change = await self._take(answer)
            except StoreUnavailableError:
                if not changes:
                    raise
                return changes
            if change is not None:
                changes.append(change)
        self._window = min(self._window * 2, WINDOW)
        return changes

    def _note_segment(self, answer: Answer) -> None:
        """Learn whether the segment is sealed. Sent before the entries: none can appear after them when it is."""
        if isinstance(answer.error, NoNodeError):
            raise CompactedError("the log segment that was being followed is gone")
        _, stat = answer.get()
        if stat.version >= TRIMMED:
            raise CompactedError("the log segment that was being followed is being trimmed")
        self._sealed = stat.version != OPEN

    async def _take(self, answer: Answer) -> Change | None:
        data, stat = answer.get()
        segment, sequence = self._place
        revision = int(stat.czxid)
        change = None
        try:
            entry = decode_entry(data)
            value = entry.value
            if entry.blob:
                value, _ = await self._connection.call(GetData(self._paths.blob(entry.blob), None))
            change = Change(entry.type, entry.key, value, revision, entry.create_revision or revision)
            self._on_entry(entry, revision, segment)
        except MalformedZnodeError as error:
            self.malformed += 1
            log.warning("zookeeper_malformed_entry", segment=segment, sequence=sequence, error=str(error))
        except NoNodeError as error:
            raise CompactedError("a large value has already been trimmed") from error
        self._offered.pop(self._place, None)
        self._place = Place(segment, sequence + 1)
        self._revision = revision
        self._log.note_entry(segment, sequence)
        return change

    async def _at_end(self) -> list[Change | Progress]:
        """No entry at our place: move on from a sealed segment, or watch for the entry."""
        self._window = max(2, self._window // 2)
        if self._sealed:
            return await self._next_segment()
        watcher = partial(self._on_entry_event, self._place)
        stat = await self._connection.call(Exists(self._paths.entry(*self._place), watcher))
        self._idle = stat is None
        return [Progress(self._revision)] if self._idle else []

    async def _next_segment(self) -> list[Change | Progress]:
        following = self._place.segment + 1
        stat = await self._connection.call(Exists(self._paths.segment(following), None))
        if stat is None:
            raise CompactedError("the log goes on in a segment that is gone")
        self._place, self._armed, self._sealed = Place(following, 0), False, False
        self._log.note_entry(following, -1)
        self._revision = max(self._revision, int(stat.czxid))
        return [Progress(self._revision)]

    def _on_entry_event(self, place: Place, _event: Any) -> None:
        self._connection.call_on_loop(self._note_appeared, place)

    def _note_appeared(self, place: Place) -> None:
        """Look at what has appeared, unless it was our own and has been taken already."""
        if place >= self._place:
            self._look = True
            self._wake.set()

    def _on_segment_event(self, _event: Any) -> None:
        self._connection.call_on_loop(self._rearm)

    def _rearm(self) -> None:
        self._armed, self._look = False, True
        self._wake.set()
