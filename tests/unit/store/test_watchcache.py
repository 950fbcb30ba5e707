"""The watch cache: consistent reads, watchers, selectors, lost history."""

import asyncio

import orjson
import pytest

from windlass.apimachinery.selectors import parse_field_selector, parse_label_selector
from windlass.errors import CompactedError, StoreUnavailableError
from windlass.store import kindcache, watcher
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import SlowWatcherError


def told(events):
    return [(event.type, event.object.name, event.revision) for event in events]


async def test_what_is_there_at_the_start_is_listed(run_cache):
    store = MemoryStore()
    revision = await store.create("core/pods/default/old", b'{"metadata":{"name":"old","namespace":"default"}}')
    async with run_cache(store) as fixture:
        cached = fixture.pods.get("default", "old")
        assert (cached.revision, cached.create_revision) == (revision, revision)
        assert cached.obj["metadata"]["resourceVersion"] == str(revision)
        with pytest.raises(CompactedError):
            fixture.pods.watch(revision - 1)


async def test_read_barrier_shows_every_finished_write(fixture):
    for number in range(10):
        revision = await fixture.put(f"p{number}")
        await fixture.seen()
        assert fixture.cache.revision >= revision
        assert fixture.pods.get("default", f"p{number}").revision == revision


async def test_concurrent_barriers_share_one_round_trip(fixture, monkeypatch):
    calls = 0
    barrier = fixture.store.barrier

    async def counted():
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return await barrier()

    monkeypatch.setattr(type(fixture.store), "known_revision", None)
    monkeypatch.setattr(fixture.store, "barrier", counted)
    await asyncio.gather(*(fixture.cache.read_barrier(5) for _ in range(100)))
    assert 1 <= calls <= 2


async def test_a_store_of_one_process_is_not_asked_while_the_cache_is_up_to_date(fixture, monkeypatch):
    await fixture.put("p")
    await fixture.seen()

    async def asked():
        raise AssertionError

    monkeypatch.setattr(fixture.store, "barrier", asked)
    await fixture.cache.read_barrier(5)


async def test_barrier_of_a_silent_store_ends(fixture, monkeypatch):
    """R18: waits, then says so; never an old answer."""

    async def never():
        await asyncio.Event().wait()

    monkeypatch.setattr(type(fixture.store), "known_revision", None)
    monkeypatch.setattr(fixture.store, "barrier", never)
    with pytest.raises(StoreUnavailableError):
        await fixture.cache.read_barrier(0.01)


async def test_wait_revision(fixture):
    waiting = asyncio.create_task(fixture.cache.wait_revision(3, 5))
    for number in range(3):
        assert not waiting.done()
        await fixture.put(f"p{number}")
    await waiting
    with pytest.raises(TimeoutError):
        await fixture.cache.wait_revision(1000, 0.01)


async def test_watch_delivers_exactly_what_came_after(fixture):
    """C089: MODIFIED then DELETED, in order, nothing earlier."""
    created = await fixture.put("web")
    updated = await fixture.put("web", revision=created, app="x")
    await fixture.seen()
    watch = fixture.pods.watch(created)
    deleted = await fixture.delete("web", updated)
    await fixture.seen()
    events = await watch.next_batch()
    assert told(events) == [("MODIFIED", "web", updated), ("DELETED", "web", deleted)]
    assert events[1].object.obj["metadata"]["resourceVersion"] == str(deleted)
    assert events[1].object.obj["metadata"]["labels"] == {"app": "x"}
    line = orjson.loads(events[0].line)
    assert (line["type"], line["object"]["metadata"]["name"]) == ("MODIFIED", "web")


async def test_watchers_share_encoded_lines(fixture):
    watches = [fixture.pods.watch(fixture.cache.revision) for _ in range(3)]
    await fixture.put("web")
    await fixture.seen()
    lines = [(await watch.next_batch())[0].line for watch in watches]
    assert lines[0] is lines[1] is lines[2]


async def test_an_object_leaves_and_enters_a_selection(fixture):
    """C091, W30."""
    watch = fixture.pods.watch(fixture.cache.revision, "", parse_label_selector("app=web"))
    r1 = await fixture.put("p", app="web")
    r2 = await fixture.put("p", revision=r1, app="other")
    r3 = await fixture.put("p", revision=r2, app="another")
    r4 = await fixture.put("p", revision=r3, app="web")
    r5 = await fixture.put("p", revision=r4, app="web", more="x")
    r6 = await fixture.delete("p", r5)
    await fixture.seen()
    assert told(await watch.next_batch()) == [
        ("ADDED", "p", r1), ("DELETED", "p", r2), ("ADDED", "p", r4), ("MODIFIED", "p", r5), ("DELETED", "p", r6),
    ]


async def test_fields_and_namespaces_select_watchers(fixture):
    mine = fixture.pods.watch(0, "", None, parse_field_selector("spec.nodeName=node-1"))
    here = fixture.pods.watch(0, "here")
    r1 = await fixture.put("p", "here", node="")
    r2 = await fixture.put("p", "here", node="node-1", revision=r1)
    await fixture.put("p", "there", node="node-2")
    await fixture.seen()
    assert told(await mine.next_batch()) == [("ADDED", "p", r2)]
    assert told(await here.next_batch()) == [("ADDED", "p", r1), ("MODIFIED", "p", r2)]


async def test_recreated_is_never_modified(fixture):
    """W23."""
    watch = fixture.pods.watch(fixture.cache.revision)
    r1 = await fixture.put("p")
    r2 = await fixture.delete("p", r1)
    r3 = await fixture.put("p")
    await fixture.seen()
    assert told(await watch.next_batch()) == [("ADDED", "p", r1), ("DELETED", "p", r2), ("ADDED", "p", r3)]


async def test_history_is_bounded(fixture, monkeypatch):
    """W25: what has left the ring is Compacted, what is in it is complete."""
    monkeypatch.setattr(kindcache, "HISTORY_CHANGES", 5)
    revisions = [await fixture.put(f"p{number}") for number in range(8)]
    await fixture.seen()
    with pytest.raises(CompactedError):
        fixture.pods.watch(revisions[1])
    assert [e.revision for e in await fixture.pods.watch(revisions[2]).next_batch()] == revisions[3:]


async def test_a_slow_watcher_is_ended_and_others_are_not(fixture, monkeypatch):
    """W26."""
    monkeypatch.setattr(watcher, "BUFFER_EVENTS", 3)
    slow, quick = fixture.pods.watch(fixture.cache.revision), fixture.pods.watch(fixture.cache.revision)
    taken = []
    for number in range(5):
        await fixture.put(f"p{number}")
        await fixture.seen()
        taken += await quick.next_batch()
    assert len(taken) == 5
    with pytest.raises(SlowWatcherError):
        await slow.next_batch()


async def test_a_closed_watcher_ends(fixture):
    watch = fixture.pods.watch(fixture.cache.revision)
    waiting = asyncio.create_task(watch.next_batch())
    await asyncio.sleep(0)
    watch.close()
    watch.close()
    assert await waiting == []


async def test_lost_history_means_a_new_listing(fixture):
    """The watchers end with Compacted; afterwards the cache is right again."""
    await fixture.put("before")
    await fixture.seen()
    watch = fixture.pods.watch(fixture.cache.revision)
    fixture.store._compacted = 10**9
    fixture.store._wake()
    async with asyncio.timeout(60):
        with pytest.raises(CompactedError):
            await watch.next_batch()
        fixture.store._compacted = 0
        await fixture.put("after")
        await fixture.cache.wait_synced()
        await fixture.seen()
    assert fixture.names() == ["after", "before"]


GARBAGE = [
    b"", b"{", b"[]", b"null", b"{}", b'{"metadata":{}}', b'{"metadata":{"name":"x","labels":3}}', b'"\\ud800"', b"\xff",
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_bad_value_is_counted_and_left_out(fixture, garbage):
    """R19: its neighbours are listed and watched."""
    await fixture.store.create("core/pods/default/bad", garbage)
    await fixture.put("good")
    await fixture.seen()
    assert fixture.names() == ["good"]
    assert fixture.cache.bad_values["core/pods/default/bad"] == 1
    assert fixture.cache.statistics()["badValues"] == 1


async def test_a_bad_value_over_a_good_one_takes_it_away(fixture):
    revision = await fixture.put("p")
    await fixture.seen()
    watch = fixture.pods.watch(revision)
    spoiled = await fixture.store.update("core/pods/default/p", b"garbage", revision=revision)
    await fixture.seen()
    assert told(await watch.next_batch()) == [("DELETED", "p", spoiled)]
    assert fixture.names() == []


async def test_keys_of_others_are_not_ours(fixture):
    """R19: a key of another shape does not stop the follower."""
    await fixture.store.create("stray", b"{}")
    await fixture.put("good")
    await fixture.seen()
    assert fixture.names() == ["good"]
