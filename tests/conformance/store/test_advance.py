"""A store whose revisions are made to go on from far ahead, as a restore does."""

import pytest

from windlass.errors import CompactedError, RevisionMismatchError
from windlass.store.interface import ChangeType

AHEAD = 1 << 45


async def test_everything_goes_on_beyond(store):
    await store.create("core/x/ns/a", b'{"n":1}')
    before = await store.barrier()
    await store.advance(before + AHEAD)
    assert await store.barrier() >= before + AHEAD
    first = await store.create("core/x/ns/b", b'{"n":2}')
    assert first > before + AHEAD
    second = await store.update("core/x/ns/b", b'{"n":3}', revision=first)
    assert second > first
    with pytest.raises(RevisionMismatchError):
        await store.update("core/x/ns/b", b"{}", revision=first)
    found = await store.get("core/x/ns/b")
    assert (found.revision, found.create_revision) == (second, first)
    page = await store.list("core/x/")
    assert [one.key for one in page.items] == ["core/x/ns/a", "core/x/ns/b"]
    assert page.revision >= second
    old = await store.get("core/x/ns/a")
    assert await store.delete(old.key, revision=old.revision) > second


async def test_a_watch_from_before_is_told_and_one_from_after_goes_on(store):
    await store.create("core/x/ns/a", b"{}")
    before = await store.barrier()
    await store.advance(before + AHEAD)
    first = await store.create("core/x/ns/b", b"{}")
    with pytest.raises(CompactedError):
        await anext(store.watch(first + AHEAD))
    async for item in store.watch(first - 1):
        if getattr(item, "type", None) is ChangeType.PUT:
            assert (item.key, item.revision, item.create_revision) == ("core/x/ns/b", first, first)
            break


async def test_a_store_that_is_beyond_stays_as_it_is(store):
    revision = await store.create("core/x/ns/a", b"{}")
    await store.advance(revision - 1)
    assert (await store.get("core/x/ns/a")).revision == revision
    assert await store.update("core/x/ns/a", b"{}", revision=revision) > revision


async def test_others_that_open_it_later_agree(store, build):
    if not hasattr(store, "_path") and not hasattr(store, "_hosts"):
        pytest.skip("memory is one process's own")
    before = await store.barrier()
    await store.advance(before + AHEAD)
    made = await store.create("core/x/ns/a", b"{}")
    other = build()
    await other.start()
    assert (await other.get("core/x/ns/a")).revision == made
    assert await other.update("core/x/ns/a", b"{}", revision=made) > made
    await other.close()
