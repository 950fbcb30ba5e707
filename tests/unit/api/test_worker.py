"""A worker's start: first clients wait for the store, but not for ever."""

import asyncio

import pytest

from windlass.api import composition
from windlass.apis.scheme import builtin_scheme
from windlass.clock import SystemClock
from windlass.errors import StoreUnavailableError
from windlass.plugin.manager import PluginManager
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache


class AwayStore(MemoryStore):
    """Cannot be opened until it is told to come."""

    def __init__(self):
        super().__init__()
        self.here = False

    async def start(self):
        if not self.here:
            raise StoreUnavailableError("away")
        await super().start()


@pytest.fixture
async def started(request, monkeypatch):
    monkeypatch.setattr(composition, "RETRY_SECONDS", 0.01)
    if request.param is AwayStore:
        monkeypatch.setattr(composition, "PATIENCE_SECONDS", 0.01)
    store = request.param()
    cache = WatchCache(store, builtin_scheme(), SystemClock())
    lifespan = composition.Lifespan(store, cache, SystemClock(), PluginManager())
    async with asyncio.timeout(10):
        await lifespan.process_startup({}, {})
    yield store, cache
    await lifespan.process_shutdown({}, {})


@pytest.mark.parametrize("started", [MemoryStore], indirect=True)
async def test_the_first_request_finds_the_store_open_and_listed(started):
    _, cache = started
    async with asyncio.timeout(10):
        await cache.wait_synced()
    assert cache.lookup("core/namespaces/_/default") is not None


@pytest.mark.parametrize("started", [AwayStore], indirect=True)
async def test_a_store_that_is_away_does_not_keep_the_server_from_starting(started):
    """It starts, says that it is not ready, and serves when the store comes."""
    store, cache = started
    assert cache.lookup("core/namespaces/_/default") is None
    store.here = True
    async with asyncio.timeout(10):
        await cache.wait_synced()
    assert cache.lookup("core/namespaces/_/default") is not None
