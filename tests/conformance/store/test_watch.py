"""History: ordered, without gaps, without duplicates, or else Compacted."""

import asyncio

import pytest

from windlass.errors import CompactedError
from windlass.store.interface import Change, ChangeType, Progress


async def test_every_change_in_order(store, changes):
    """C088: exactly the changes after a revision."""
    created = await store.create("a/b/c/x", b"1")
    updated = await store.update("a/b/c/x", b"2", revision=created)
    deleted = await store.delete("a/b/c/x", revision=updated)
    again = await store.create("a/b/c/x", b"3")
    expected = [
        Change(ChangeType.PUT, "a/b/c/x", b"1", created, created),
        Change(ChangeType.PUT, "a/b/c/x", b"2", updated, created),
        Change(ChangeType.DELETE, "a/b/c/x", b"2", deleted, created),
        Change(ChangeType.PUT, "a/b/c/x", b"3", again, again),
    ]
    for skipped, since in enumerate([0, created, updated, deleted]):
        assert await changes(store, since, again) == expected[skipped:]


async def test_a_refused_commit_is_no_change(store, changes):
    created = await store.create("a/b/c/x", b"1")
    outcomes = await asyncio.gather(
        store.create("a/b/c/x", b"2"), store.update("a/b/c/x", b"2", revision=created + 1),
        store.delete("a/b/c/y", revision=created), return_exceptions=True,
    )
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    assert await changes(store, created, await store.barrier()) == []


async def test_an_idle_watch_says_where_it_is(store):
    revision = await store.create("a/b/c/x", b"1")
    watch = store.watch(revision)
    assert await anext(watch) == Progress(revision)
    await watch.aclose()


async def test_a_live_watch_sees_concurrent_commits_once_and_in_order(store):
    """R02's conditions without the failure: no gap, no duplicate, revisions never go back."""
    seen = []

    async def follow():
        async for item in store.watch(0):
            if isinstance(item, Change):
                seen.append((item.revision, item.key))
            if len(seen) == 200:
                return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())

        async def write(n):
            return [(await store.create(f"a/b/n{n}/{i}", b"{}"), f"a/b/n{n}/{i}") for i in range(20)]

        writers = [group.create_task(write(n)) for n in range(10)]
    committed = [commit for writer in writers for commit in writer.result()]
    assert seen == sorted(committed)


async def test_own_and_foreign_commits_interleave_in_order(store, another):
    """R02, R18: a watch in a process that writes itself misses nothing of another that writes at the same time."""
    seen = {store: [], another: []}

    async def follow(opening):
        async for item in opening.watch(0):
            if isinstance(item, Change):
                seen[opening].append((item.revision, item.key, item.value))
            if len(seen[opening]) == 200:
                return

    async def write(opening, n):
        done = []
        for i in range(20):
            key, value = f"a/b/n{n}/{i}", b"%d" % n
            done.append((await opening.create(key, value), key, value))
        return done

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(opening)) for opening in seen]
        writers = [group.create_task(write((store, another)[n % 2], n)) for n in range(10)]
        await asyncio.wait(followers)
    committed = sorted(commit for writer in writers for commit in writer.result())
    assert seen == {store: committed, another: committed}


async def test_two_watches_agree(store, another, changes):
    """C092: all watches see the same sequence."""
    await asyncio.gather(*((store, another)[n % 2].create(f"a/b/c/{n}", b"%d" % n) for n in range(40)))
    end = await store.barrier()
    first, second = await asyncio.gather(changes(store, 0, end), changes(another, 0, end))
    assert first == second
    assert len(first) == 40


async def test_barrier_covers_other_processes(store, another, changes):
    """R18: what another process committed before the barrier is visible after it."""
    for n in range(5):
        committed = await another.create(f"a/b/c/{n}", b"{}")
        barrier = await store.barrier()
        assert barrier >= committed
        assert [c.key for c in await changes(store, committed - 1, barrier)] == [f"a/b/c/{n}"]


async def test_a_watch_is_told_of_another_process(store, another):
    seen = asyncio.Event()

    async def follow():
        async for item in store.watch(0):
            if isinstance(item, Change):
                seen.set()
                return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await another.create("a/b/c/x", b"{}")
        await seen.wait()


async def test_compaction_ends_old_history(store, changes):
    """W25: older than history is Compacted; newer history stays complete."""
    revisions = [await store.create(f"a/b/c/{n:03}", b"{}") for n in range(100)]
    await store.compact(10)
    with pytest.raises(CompactedError):
        await changes(store, 0, revisions[-1])
    with pytest.raises(CompactedError):
        await changes(store, revisions[10], revisions[-1])
    assert [c.revision for c in await changes(store, revisions[-11], revisions[-1])] == revisions[-10:]
    await store.compact(10)
    assert len((await store.list("a/b/")).items) == 100


async def test_compaction_with_deleted_and_recreated_objects(store):
    """Trimmed history takes its tombstones along, and only those."""
    key = "a/b/c/again"
    revision = await store.create(key, b"1")
    await store.delete(key, revision=revision)
    gone = await store.create("a/b/c/gone", b"1")
    await store.delete("a/b/c/gone", revision=gone)
    kept = await store.create(key, b"2")
    for n in range(80):
        await store.create(f"a/b/d/{n}", b"{}")
    await store.compact(1)
    assert (await store.get(key)).revision == kept
    assert await store.get("a/b/c/gone") is None
    assert await store.create("a/b/c/gone", b"2") > kept
    await store.update(key, b"3", revision=kept)


async def test_revision_of_the_future_is_compacted(store):
    """R22: after a restore from an older backup, a newer client must list again."""
    revision = await store.create("a/b/c/x", b"{}")
    with pytest.raises(CompactedError):
        await anext(store.watch(revision + 1000))


async def test_history_outlives_the_process(build, changes):
    first = build()
    await first.start()
    revision = await first.create("a/b/c/x", b"1")
    await first.close()
    if type(first).__name__ == "MemoryStore":
        pytest.skip("memory keeps nothing")
    second = build()
    await second.start()
    try:
        assert [c.revision for c in await changes(second, 0, revision)] == [revision]
        assert (await second.get("a/b/c/x")).value == b"1"
    finally:
        await second.close()


async def test_closing_ends_a_watch(build):
    store = build()
    await store.start()
    await store.create("a/b/c/x", b"1")

    async def follow():
        async for _ in store.watch(0):
            pass

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        watching = group.create_task(follow())
        await asyncio.sleep(0)
        await store.close()
        await watching
