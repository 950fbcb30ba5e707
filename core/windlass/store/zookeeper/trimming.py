"""Trims the log: whole old segments, with the tombstones and large values that only they needed."""

from collections.abc import Iterator, Sequence
from typing import Any

from kazoo.exceptions import BadVersionError, NoNodeError, NotEmptyError
from kazoo.protocol.serialization import Delete, Exists, GetChildren, GetData, SetData

from windlass.logs import get_logger
from windlass.store.interface import ChangeType
from windlass.store.zookeeper.changelog import SEALED, TRIMMED, ChangeLog, entry_count
from windlass.store.zookeeper.connection import Answer, Connection
from windlass.store.zookeeper.layout import (
    EntryNode,
    MalformedZnodeError,
    Paths,
    decode_entry,
    decode_object,
)

BATCH = 128
KEPT_SEGMENTS = 2
"""The open segment and the one before stay: `Versions` trusts what it remembers for that long."""
log = get_logger(__name__)


class Trimmer:
    """Drops history. Any number of processes may trim at once: every step tolerates that it has been done."""

    def __init__(self, connection: Connection, change_log: ChangeLog, paths: Paths) -> None:
        self._connection = connection
        self._log = change_log
        self._paths = paths

    async def trim(self, keep: int) -> None:
        """Drop the oldest segments, as many as leave at least `keep` changes."""
        numbers = await self._log.segments()
        stats = await self._connection.answers([Exists(self._paths.segment(number), None) for number in numbers])
        newer = 0
        doomed: list[tuple[int, int]] = []
        for number, answer in reversed(list(zip(numbers, stats, strict=True))):
            stat = answer.get()
            if stat is None:
                continue
            if number <= numbers[-1] - KEPT_SEGMENTS and newer >= keep:
                doomed.append((number, stat.version))
            newer += entry_count(stat)
        for number, version in reversed(doomed):
            await self._drop(number, version)

    async def _drop(self, segment: int, version: int) -> None:
        path = self._paths.segment(segment)
        if version < TRIMMED:
            (marked,) = await self._connection.answers([SetData(path, b"", SEALED)])
            _tolerate(marked)
        (children,) = await self._connection.answers([GetChildren(path, None)])
        if children.error is None:
            for names in _batches(sorted(children.value)):
                await self._drop_entries([f"{path}/{name}" for name in names])
        (gone,) = await self._connection.answers([Delete(path, -1)])
        _tolerate(gone)
        log.info("zookeeper_segment_trimmed", segment=segment)

    async def _drop_entries(self, paths: Sequence[str]) -> None:
        entries = [
            entry
            for answer in await self._connection.answers([GetData(path, None) for path in paths])
            if (entry := _entry(answer)) is not None
        ]
        tombstones: list[Any] = [
            Delete(self._paths.object(entry.key), entry.version)
            for entry in entries
            if entry.type is ChangeType.DELETE
        ]
        for entry in entries:
            await self._drop_blobs(entry)
        for answer in await self._connection.answers([*tombstones, *(Delete(path, -1) for path in paths)]):
            _tolerate(answer)

    async def _drop_blobs(self, entry: EntryNode) -> None:
        """Delete the large values that an entry names unless the object still has them."""
        blobs = {entry.blob, entry.previous} - {""}
        if not blobs:
            return
        (answer,) = await self._connection.answers([GetData(self._paths.object(entry.key), None)])
        if answer.error is None:
            try:
                node = decode_object(answer.value[0])
            except MalformedZnodeError as error:
                log.warning("zookeeper_malformed_object", key=entry.key, error=str(error))
                return
            if not node.deleted:
                blobs.discard(node.blob)
        elif not isinstance(answer.error, NoNodeError):
            answer.get()
        for gone in await self._connection.answers([Delete(self._paths.blob(blob), -1) for blob in blobs]):
            _tolerate(gone)


def _entry(answer: Answer) -> EntryNode | None:
    if answer.error is not None:
        _tolerate(answer)
        return None
    try:
        return decode_entry(answer.value[0])
    except MalformedZnodeError:  # the follower has reported it; here it only has to go
        return None


def _tolerate(answer: Answer) -> None:
    """Accept that another trimmer was first, or that a tombstone has been written over."""
    if not isinstance(answer.error, NoNodeError | BadVersionError | NotEmptyError):
        answer.get()


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start:start + BATCH]
