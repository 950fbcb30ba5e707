"""R08: the connection is cut right after a request was forwarded."""

import asyncio

import pytest

from windlass.errors import StoreUnavailableError
from windlass.store.interface import Change

pytestmark = [
    pytest.mark.zookeeper,
    # kazoo leaves the socket of a failed connection attempt to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
PADDED = b'{"pad":"' + b"x" * 300 + b'"}'


async def test_one_object_and_a_truthful_answer(opened, proxy):
    """R08: exactly one object, the caller gets its revision, never a conflict with itself."""
    store, witness = await opened(proxy.host), await opened()
    for number in range(5):
        key = f"a/b/c/{number}"
        proxy.arm()
        created = await store.create(key, PADDED)
        assert (await witness.get(key)).revision == created
        proxy.arm()
        updated = await store.update(key, PADDED + b" ", revision=created)
        stored = await witness.get(key)
        assert (stored.revision, stored.value) == (updated, PADDED + b" ")
        proxy.arm()
        await store.delete(key, revision=updated)
        assert await witness.get(key) is None
    assert proxy.cuts == 15


async def test_many_commits_in_flight(opened, proxy):
    """R08 under load: all of 64 pipelined commits are settled, each once."""
    store, witness = await opened(proxy.host), await opened()
    before = await witness.barrier()
    proxy.arm()
    revisions = await asyncio.gather(*(store.create(f"a/b/c/{n}", PADDED) for n in range(64)))
    seen = {}
    async for item in witness.watch(before):
        if isinstance(item, Change):
            assert item.key not in seen
            seen[item.key] = item.revision
        if item.revision >= max(revisions):
            break
    assert seen == {f"a/b/c/{n}": revision for n, revision in enumerate(revisions)}
    assert proxy.cuts == 1


async def test_the_follower_goes_on_where_it_was(opened, proxy):
    """R02: no gap and no duplicate over cut connections."""
    store, writer = await opened(proxy.host), await opened()
    seen = []

    async def follow():
        async for item in store.watch(0):
            if isinstance(item, Change):
                seen.append(item.revision)
            if len(seen) == 60:
                return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())
        written = []
        for number in range(60):
            written.append(await writer.create(f"a/b/c/{number}", b"{}"))
            if number % 20 == 10:
                proxy.arm()
                await store.create(f"z/b/c/{number}", PADDED)
                written.append((await store.get(f"z/b/c/{number}")).revision)
    assert seen == sorted(written)[:60]


async def test_a_suspended_session_fails_at_once(opened, ensemble):
    """R03: no waiting for a deadline when it is known that nobody answers."""
    store = await opened(ensemble.servers[0].host, commit_timeout_seconds=30)
    ensemble.servers[0].kill()
    async with asyncio.timeout(60):
        while True:
            try:
                await store.ping()
            except StoreUnavailableError:
                break
        with pytest.raises(StoreUnavailableError):
            await store.create("a/b/c/x", b"{}")
