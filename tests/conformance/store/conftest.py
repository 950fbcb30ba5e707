"""Every store under the same contract. `store` is one opening; `another` opens the same data once more."""

import itertools

import pytest

from windlass.store.interface import Change
from windlass.store.memory import MemoryStore
from windlass.store.sqlite import SqliteStore
from windlass.store.zookeeper import ZooKeeperStore
from windlass.store.zookeeper.settings import ZooKeeperSettings
from windlass.testing.zookeeper import Ensemble

roots = itertools.count()
SMALL_SEGMENTS = ZooKeeperSettings(session_timeout_seconds=4, segment_entries=16)


@pytest.fixture(scope="session")
def single_server(tmp_path_factory):
    ensemble = Ensemble(tmp_path_factory.mktemp("zk"), 1)
    ensemble.start()
    yield ensemble
    ensemble.stop()


@pytest.fixture(params=["memory", "sqlite", pytest.param("zookeeper", marks=pytest.mark.zookeeper)])
def build(request, tmp_path):
    """Return a function that opens the same data each time; None where only one opening is possible."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "state.db", shared=True)
    hosts = f"{request.getfixturevalue('single_server').hosts}/t{next(roots)}"
    return lambda: ZooKeeperStore(hosts, "tester:secret", settings=SMALL_SEGMENTS)


@pytest.fixture
async def store(build):
    store = build()
    await store.start()
    yield store
    await store.close()


@pytest.fixture
async def another(build, store):
    if build is MemoryStore:
        pytest.skip("memory is one process's own")
    another = build()
    await another.start()
    yield another
    await another.close()


async def _changes(store, since, until):
    found = []
    async for item in store.watch(since):
        if isinstance(item, Change):
            found.append(item)
        if item.revision >= until:
            return found
    return found


@pytest.fixture
def changes():
    """Collect the changes after `since` until the watch has reached `until`."""
    return _changes
