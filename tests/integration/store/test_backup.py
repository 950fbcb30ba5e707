"""Backups of ZooKeeper's tree, into SQLite and back, also into an ensemble that has not come as far (R22)."""

import io

import pytest

from windlass.errors import CompactedError
from windlass.store.sqlite import SqliteStore
from windlass.store.transfer import HEADROOM, back_up, restore
from windlass.testing.clock import FakeClock

pytestmark = pytest.mark.zookeeper


async def content(store):
    return {one.key: one.value for one in (await store.list("")).items}


async def test_zookeeper_to_sqlite_and_back(opened, tmp_path):
    tree = await opened(segment_entries=32)
    for number in range(120):
        await tree.create(f"core/configmaps/ns/c{number}", b'{"metadata":{"name":"c"}}')
    await tree.create("core/configmaps/ns/large", b'"' + b"x" * 500_000 + b'"')
    wanted, file = await content(tree), io.BytesIO()
    summary = await back_up(tree, file, FakeClock())
    assert (summary.objects, summary.revision) == (121, await tree.barrier())
    sqlite = SqliteStore(tmp_path / "state.db")
    await sqlite.start()
    await restore(sqlite, file)
    assert await content(sqlite) == wanted
    await sqlite.create("core/configmaps/ns/late", b"{}")
    reached = await sqlite.barrier()
    assert reached > summary.revision + HEADROOM
    later = io.BytesIO()
    await back_up(sqlite, later, FakeClock())
    await sqlite.close()

    await restore(tree, later, force=True)
    assert (await content(tree)).keys() == {*wanted, "core/configmaps/ns/late"}
    made = await tree.create("core/configmaps/ns/new", b"{}")
    assert made > reached
    with pytest.raises(CompactedError):
        await anext(tree.watch(made + 1000))
    other = await opened()
    assert (await other.get("core/configmaps/ns/new")).revision == made
    assert await other.update("core/configmaps/ns/new", b"[]", revision=made) > made
