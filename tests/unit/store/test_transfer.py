"""Backups and restores between stores: whole, as of one revision, and never taken for another history (R22)."""

import asyncio
import io
import random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.api.bootstrap import create_system_objects
from windlass.apis.scheme import builtin_scheme
from windlass.errors import BackupError, CompactedError, StoreUnavailableError
from windlass.store.backup_format import DELETE, OBJECT, PUT, BackupReader, BackupWriter, Record
from windlass.store.interface import Progress
from windlass.store.memory import MemoryStore
from windlass.store.sqlite import SqliteStore
from windlass.store.transfer import HEADROOM, UNFINISHED, back_up, restore, verify
from windlass.store.watchcache import WatchCache
from windlass.testing.clock import FakeClock

CLOCK = FakeClock()
KINDS = ["memory", "sqlite"]


@pytest.fixture
async def opened(tmp_path):
    stores = []

    async def open_store(kind):
        path = tmp_path / f"{len(stores)}" / "state.db"
        stores.append(MemoryStore() if kind == "memory" else SqliteStore(path, shared=True))
        await stores[-1].start()
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


async def content(store):
    page = await store.list("")
    return {one.key: one.value for one in page.items}


def value(name, **more):
    return orjson.dumps({"metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}"}, **more})


async def fill(store, count=7):
    for number in range(count):
        await store.create(f"core/configmaps/ns/c{number}", value(f"c{number}", data={"n": str(number)}))


async def saved(store):
    file = io.BytesIO()
    await back_up(store, file, CLOCK)
    return file


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
async def test_from_any_store_to_any_other(opened, source, target):
    old, new = await opened(source), await opened(target)
    await fill(old, 1200)
    gone = await old.get("core/configmaps/ns/c3")
    await old.delete(gone.key, revision=gone.revision)
    summary = await restore(new, await saved(old))
    assert await content(new) == await content(old)
    assert (summary.objects, summary.changes, summary.revision) == (1199, 0, await old.barrier())
    assert await new.create("core/configmaps/ns/next", value("next")) > summary.revision + HEADROOM


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
async def test_a_backup_under_writes_is_the_store_at_its_revision(opened, kind, seed):
    """Whatever is written between two pages, before or behind what was listed already."""
    dice, store = random.Random(seed), await opened(kind)
    await fill(store, 30)
    states = {await store.barrier(): await content(store)}
    list_page = store.list

    async def list_and_write(prefix, *, limit=0, after=""):
        page = await list_page(prefix, limit=7, after=after)
        for _ in range(6):
            key = f"core/configmaps/ns/c{dice.randrange(40)}"
            known = await store.get(key)
            if known is None:
                await store.create(key, value(key))
            elif dice.random() < 0.4:
                await store.delete(key, revision=known.revision)
            else:
                await store.update(key, value(key, data={"n": str(dice.random())}), revision=known.revision)
            states[await store.barrier()] = {one.key: one.value for one in (await list_page("")).items}
        return page

    store.list = list_and_write
    file = await saved(store)
    summary = verify(file)
    assert summary.changes > 0
    target = await opened("memory")
    await restore(target, file)
    assert await content(target) == states[summary.revision]


async def test_a_history_that_is_trimmed_meanwhile_is_listed_again(opened):
    store = await opened("memory")
    await fill(store)
    watch, calls = store.watch, []

    async def lossy(since):
        calls.append(since)
        if len(calls) < 3:
            raise CompactedError("trimmed")
        async for item in watch(since):
            yield item

    list_page = store.list

    async def list_and_write(prefix, *, limit=0, after=""):
        page = await list_page(prefix, limit=limit, after=after)
        await store.create(f"core/configmaps/ns/more{await store.barrier()}", value("more"))
        return page

    store.watch, store.list = lossy, list_and_write
    assert verify(await saved(store)).changes == 1

    async def always(since):
        raise CompactedError("trimmed")
        yield

    store.watch = always
    with pytest.raises(BackupError, match="trimmed faster"):
        await saved(store)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_there_is_replaced_by_force_only(opened, kind):
    source, target = await opened("memory"), await opened(kind)
    await fill(source, 3)
    await fill(target, 200)
    file = await saved(source)
    before = await content(target)
    with pytest.raises(BackupError, match="not empty; --force"):
        await restore(target, file)
    assert await content(target) == before
    await restore(target, file, force=True)
    assert await content(target) == await content(source)


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_watched_the_old_store_must_list_anew(opened, kind):
    """R22: also from revisions after the backup, which the restored store would otherwise reach again."""
    store = await opened(kind)
    await fill(store, 5)
    file = await saved(store)
    await fill_more(store, 50)
    seen = await store.barrier()
    await restore(store, file, force=True)
    with pytest.raises(CompactedError):
        await anext(store.watch(seen))
    async for item in store.watch(await store.barrier()):
        assert isinstance(item, Progress)
        break
    cache = WatchCache(store, builtin_scheme(), CLOCK)
    task = asyncio.create_task(cache.run())
    await cache.wait_synced()
    configmaps = cache.kind_cache(builtin_scheme().by_resource("", "v1", "configmaps"))
    with pytest.raises(CompactedError):
        configmaps.watch(seen)
    assert {one.obj["metadata"]["uid"] for one in configmaps.select()[0]} == {f"u-c{number}" for number in range(5)}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def fill_more(store, count):
    for number in range(count):
        await store.create(f"core/secrets/ns/s{number}", value(f"s{number}"))


async def test_a_restore_that_was_killed_is_seen_and_can_be_repeated(opened):
    source, target = await opened("memory"), await opened("sqlite")
    await fill(source, 200)
    file = await saved(source)
    create, left = target.create, [100]

    async def failing(key, value, *, guard=None):
        left[0] -= 1
        if left[0] < 0:
            raise StoreUnavailableError("the disk is full")
        return await create(key, value, guard=guard)

    target.create = failing
    with pytest.raises(ExceptionGroup):
        await restore(target, file)
    target.create = create
    assert await target.get(UNFINISHED) is not None
    with pytest.raises(StoreUnavailableError, match="not finished"):
        await create_system_objects(target, CLOCK)
    with pytest.raises(BackupError, match="not whole"):
        await saved(target)
    await restore(target, file, force=True)
    assert await content(target) == await content(source)
    await create_system_objects(target, CLOCK)


def written(*records, revision=9):
    file = io.BytesIO()
    writer = BackupWriter(file, "2026-01-01T00:00:00Z")
    for record in records:
        writer.write(record)
    writer.end(revision)
    return file


RECORDS = st.builds(
    Record,
    st.sampled_from([OBJECT, PUT, DELETE]),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.binary(max_size=200),
    st.integers(0, 2**62),
)


@given(st.lists(RECORDS, max_size=20))
def test_what_is_written_is_read(records):
    file = written(*records)
    file.seek(0)
    reader = BackupReader(file)
    assert list(reader) == records
    objects = sum(record.type == OBJECT for record in records)
    assert (reader.summary.objects, reader.summary.changes) == (objects, len(records) - objects)


WHOLE = written(*(Record(OBJECT, f"core/configmaps/ns/c{n}", bytes([n]) * n, n) for n in range(1, 30))).getvalue()


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_or_cut_file_is_refused(data):
    """Nothing is ever restored from it: the whole file is checked first."""
    place = data.draw(st.integers(10, len(WHOLE) - 9))
    broken = bytearray(WHOLE)
    if data.draw(st.booleans()):
        broken[place] ^= data.draw(st.integers(1, 255))
    else:
        broken = broken[:place]
    try:
        found = list(BackupReader(io.BytesIO(bytes(broken))))
    except BackupError:
        return
    assert found == list(BackupReader(io.BytesIO(WHOLE)))  # only bits that fill up the last byte were hit


@pytest.mark.parametrize("text", [b"", b"hello", b'{"format":"windlass-backup","version":1}\n'])
def test_another_file_is_refused(text):
    with pytest.raises(BackupError):
        verify(io.BytesIO(text))


def test_a_version_from_the_future_is_named(monkeypatch):
    monkeypatch.setattr("windlass.store.backup_format.VERSION", 2)
    file = written()
    monkeypatch.undo()
    with pytest.raises(BackupError, match="has version 2; this Windlass reads version 1"):
        verify(file)


async def test_nothing_is_written_for_a_file_that_is_not_whole(opened):
    target = await opened("memory")
    await fill(target, 2)
    before = await content(target), await target.barrier()
    with pytest.raises(BackupError):
        await restore(target, io.BytesIO(WHOLE[:-20]), force=True)
    assert (await content(target), await target.barrier()) == before
