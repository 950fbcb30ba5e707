"""A watch cache over the memory store, with two kinds of which one is stored for two groups."""

import asyncio
import contextlib

import orjson
import pytest

from windlass.apimachinery.scheme import KindDefinition, Scheme, Strategy
from windlass.clock import SystemClock
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache


class PodStrategy(Strategy):
    def selectable_fields(self, obj):
        return {"spec.nodeName": obj.get("spec", {}).get("nodeName", "")}


PODS = KindDefinition("", "v1", "Pod", "pods", "pod", True, None, PodStrategy())
NODES = KindDefinition("", "v1", "Node", "nodes", "node", False, None)


class Fixture:
    """A store, the cache over it, and writes in the way of the registry."""

    def __init__(self, store):
        self.store = store
        self.cache = WatchCache(store, Scheme([PODS, NODES]), SystemClock())
        self.pods = self.cache.kind_cache(PODS)

    async def put(self, name, namespace="default", node="", revision=None, **labels):
        obj = {"kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
               "spec": {"nodeName": node}}
        key, value = PODS.key(namespace, name), orjson.dumps(obj)
        if revision is None:
            return await self.store.create(key, value)
        return await self.store.update(key, value, revision=revision)

    async def delete(self, name, revision, namespace="default"):
        return await self.store.delete(PODS.key(namespace, name), revision=revision)

    async def seen(self):
        await self.cache.read_barrier(5)

    def names(self, *arguments):
        return [cached.name for cached in self.pods.select(*arguments)[0]]


@contextlib.asynccontextmanager
async def running(store):
    fixture = Fixture(store)
    task = asyncio.create_task(fixture.cache.run())
    await fixture.cache.wait_synced()
    try:
        yield fixture
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def fixture():
    store = MemoryStore()
    await store.start()
    async with running(store) as fixture:
        yield fixture
    await store.close()


@pytest.fixture
def run_cache():
    """Run a cache over a store of the test's own."""
    return running
