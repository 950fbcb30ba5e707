"""Takes a store into a file at one revision, and puts such a file into any store.

A backup lists the store page by page while others write, then appends what changed since the listing began, up to a
revision that covers the whole listing. A restore checks the whole file first, then makes the store's revisions go on
beyond every revision that a client of the old store can have seen: whoever watches from there is told to list anew
(faults R22), and never gets another history's events.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from typing import IO

import orjson

from windlass.clock import Clock, rfc3339
from windlass.errors import BackupError, CompactedError, RevisionMismatchError, StoreUnavailableError
from windlass.store.backup_format import DELETE, OBJECT, PUT, BackupReader, BackupWriter, Record, Summary
from windlass.store.interface import Change, ChangeType, Store, Stored

PAGE = 500
AT_ONCE = 64
MAX_ATTEMPTS = 3
HEADROOM = 1 << 30
"""How far the old store may have come since the backup was taken."""
UNFINISHED = "windlass.dev/restores/_/unfinished"
"""Key that stands in a store while a restore is under way; no API server serves such a store."""


async def back_up(store: Store, file: IO[bytes], clock: Clock) -> Summary:
    """Write everything in the store, as of one revision. Raises BackupError when history is trimmed faster than it is read."""
    for _ in range(MAX_ATTEMPTS):
        file.seek(0)
        file.truncate()
        writer = BackupWriter(file, rfc3339(clock.now()))
        try:
            return await _write(store, writer)
        except CompactedError:
            writer.abandon()
    raise BackupError("the store's history was trimmed faster than the backup could follow; try again")


async def _write(store: Store, writer: BackupWriter) -> Summary:
    if await store.get(UNFINISHED) is not None:
        raise BackupError("a restore into this store is not finished: what it holds is not whole")
    start, after, more = None, "", True
    while more:
        page = await store.list("", limit=PAGE, after=after)
        start = page.revision if start is None else start
        found = [Record(OBJECT, one.key, one.value, one.revision) for one in page.items]
        await asyncio.to_thread(_write_all, writer, found)
        more, after = page.more, page.items[-1].key if page.items else after
    assert start is not None
    until = await store.barrier()
    if until > start:
        await _write_changes(store, writer, start, until)
    return await asyncio.to_thread(writer.end, max(start, until))


def _write_all(writer: BackupWriter, records: Iterable[Record]) -> None:
    for record in records:
        writer.write(record)


async def _write_changes(store: Store, writer: BackupWriter, since: int, until: int) -> None:
    async with aclosing(store.watch(since)) as changes:  # type: ignore[type-var]  # stores' watches are generators
        async for item in changes:
            if isinstance(item, Change) and item.revision <= until:
                put = item.type is ChangeType.PUT
                value = item.value if put else b""
                writer.write(Record(PUT if put else DELETE, item.key, value, item.revision))
            if item.revision >= until:
                return


def verify(file: IO[bytes]) -> Summary:
    """Read a whole backup and return what it says of itself. Raises BackupError."""
    file.seek(0)
    reader = BackupReader(file)
    for _ in reader:
        pass
    assert reader.summary is not None
    return reader.summary


async def restore(store: Store, file: IO[bytes], *, force: bool = False) -> Summary:
    """Put a backup into a store that nobody else writes to; with `force` in the place of what is there.

    Nothing is written before the whole file has been checked. Killed in between, the store says so until a restore into
    it succeeds. Raises BackupError.
    """
    summary = await asyncio.to_thread(verify, file)
    if not force and (await store.list("", limit=1)).items:
        raise BackupError("the store is not empty; --force puts the backup in the place of everything in it")
    await store.advance(max(summary.revision, await store.barrier()) + HEADROOM)
    mark = await _mark(store)
    await _clear(store)
    file.seek(0)
    records = iter(BackupReader(file))
    while part := await asyncio.to_thread(_take, records):
        await _apply(store, part)
    await store.delete(UNFINISHED, revision=mark)
    return summary


async def check_whole(store: Store) -> None:
    """Raise StoreUnavailableError while a restore into the store has not succeeded."""
    if await store.get(UNFINISHED) is not None:
        raise StoreUnavailableError("a restore into this store is not finished; `windlass restore --force` repeats it")


async def _mark(store: Store) -> int:
    known = await store.get(UNFINISHED)
    if known is not None:
        return known.revision
    return await store.create(UNFINISHED, orjson.dumps({"metadata": {"name": "unfinished"}}))


async def _clear(store: Store) -> None:
    """Delete everything but the mark."""
    after, more = "", True
    while more:
        page = await store.list("", limit=PAGE, after=after)
        for some in _parts([one for one in page.items if one.key != UNFINISHED]):
            async with asyncio.TaskGroup() as group:
                for one in some:
                    group.create_task(_delete(store, one.key, one.revision))
        more, after = page.more, page.items[-1].key if page.items else after


async def _delete(store: Store, key: str, revision: int) -> None:
    try:
        await store.delete(key, revision=revision)
    except RevisionMismatchError:
        raise BackupError(f"{key} changed while the store was being replaced: stop the API servers first") from None


def _take(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, AT_ONCE))


async def _apply(store: Store, records: list[Record]) -> None:
    """Create objects together, as each is there once; make changes in their order."""
    async with asyncio.TaskGroup() as group:
        for record in records:
            if record.type == OBJECT:
                group.create_task(store.create(record.key, record.value))
    for record in records:
        if record.type != OBJECT:
            await _change(store, record)


async def _change(store: Store, record: Record) -> None:
    known = await store.get(record.key)
    if record.type == PUT and known is None:
        await store.create(record.key, record.value)
    elif record.type == PUT and known is not None:
        await store.update(record.key, record.value, revision=known.revision)
    elif known is not None:
        await store.delete(record.key, revision=known.revision)


def _parts(items: list[Stored]) -> Iterator[list[Stored]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
