"""Writes that start from a cache that lags: right all the same, or told the truth."""

import asyncio
import json

import pytest

from windlass.apis.scheme import builtin_scheme
from windlass.errors import AlreadyExistsError, ConflictError, NotFoundError
from windlass.plugin.interfaces.authn import UserInfo
from windlass.registry.admit import Target
from windlass.registry.backend import Backend, CacheReader
from windlass.registry.continuation import Snapshots
from windlass.registry.generic import Registry
from windlass.registry.options import Body, DeleteOptions, ListOptions, Patch, RequestContext
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass.testing.clock import FakeClock

MERGE = "application/merge-patch+json"
PATCH = Patch(MERGE, Body({"data": {"b": "2"}}))
LEASE = "coordination.k8s.io/leases/kube-system/leader"


class Lagging:
    """Two registries over one store; the second one's cache stands still."""

    def __init__(self, store, scheme, clock):
        self.caches = [WatchCache(store, scheme, clock) for _ in range(2)]
        self.store = store
        self.kind = scheme.by_resource("", "v1", "configmaps")
        self.fresh, self.stale = (
            Registry(self.kind, Backend(store, cache, scheme, clock, (), CacheReader(cache, scheme)), Snapshots(clock))
            for cache in self.caches
        )

    def target(self, name="one"):
        return Target(self.kind, "default", name)


@pytest.fixture
async def lagging():
    store, clock = MemoryStore(), FakeClock()
    pair = Lagging(store, builtin_scheme(), clock)
    tasks = [asyncio.create_task(cache.run()) for cache in pair.caches]
    for cache in pair.caches:
        await cache.wait_synced()
    await pair.fresh.create(context(), "default", body())
    await store.create(LEASE, lease("one", 1))
    await pair.caches[1].read_barrier(5)
    tasks[1].cancel()
    await asyncio.wait((tasks[1],))
    yield pair
    tasks[0].cancel()
    await asyncio.wait((tasks[0],))


def lease(holder, term):
    spec = {"holderIdentity": holder, "leaseTransitions": term}
    return json.dumps({"metadata": {"name": "leader", "namespace": "kube-system"}, "spec": spec}).encode()


async def elect(lagging, holder, term):
    """Change the Lease where the lagging cache does not see it."""
    stored = await lagging.store.get(LEASE)
    await lagging.store.update(LEASE, lease(holder, term), revision=stored.revision)


def context(**options):
    return RequestContext(UserInfo("admin"), **options)


def body(name="one", version="", **data):
    metadata = {"name": name, **({"resourceVersion": version} if version else {})}
    return Body({"metadata": metadata, "data": data or {"key": "value"}})


async def test_a_patch_is_applied_to_the_newest_object(lagging):
    await lagging.fresh.update(context(), lagging.target(), body(a="1"))
    patched = await lagging.stale.patch(context(), lagging.target(), Patch(MERGE, Body({"data": {"b": "2"}})))
    assert patched.obj["data"] == {"a": "1", "b": "2"}


async def test_a_newer_version_than_the_caches_is_no_conflict(lagging):
    newer = (await lagging.fresh.update(context(), lagging.target(), body(a="1"))).obj["metadata"]["resourceVersion"]
    written = await lagging.stale.update(context(), lagging.target(), body(version=newer, b="2"))
    assert written.obj["data"] == {"b": "2"}


async def test_the_caches_version_is_a_conflict_when_the_store_has_moved_on(lagging):
    old = lagging.caches[1].kind_cache(lagging.kind).get("default", "one").obj["metadata"]["resourceVersion"]
    await lagging.fresh.update(context(), lagging.target(), body(a="1"))
    with pytest.raises(ConflictError, match="the object has been modified"):
        await lagging.stale.update(context(), lagging.target(), body(version=old, b="2"))


async def test_nothing_to_change_is_not_believed_of_an_old_object(lagging):
    await lagging.fresh.update(context(), lagging.target(), body(a="1"))
    written = await lagging.stale.update(context(), lagging.target(), body())
    assert (await lagging.fresh.get("default", "one")).obj["data"] == {"key": "value"} == written.obj["data"]


async def test_an_object_that_has_gone_and_one_that_is_new(lagging):
    await lagging.fresh.delete(context(), lagging.target(), DeleteOptions())
    with pytest.raises(NotFoundError):
        await lagging.stale.patch(context(), lagging.target(), Patch(MERGE, Body({"data": {"b": "2"}})))
    await lagging.fresh.create(context(), "default", body("two"))
    assert (await lagging.stale.delete(context(), lagging.target("two"), DeleteOptions())).gone


async def test_generated_names_that_are_taken_are_generated_anew(lagging, monkeypatch):
    suffixes = iter(["web-aaaaa", "web-aaaaa", "web-bbbbb"])
    monkeypatch.setattr("windlass.registry.objectmeta.generate_name", lambda _base: next(suffixes))
    monkeypatch.setattr("windlass.registry.create.generate_name", lambda _base: next(suffixes))
    generated = Body({"metadata": {"generateName": "web-"}})
    assert (await lagging.fresh.create(context(), "default", generated)).obj["metadata"]["name"] == "web-aaaaa"
    assert (await lagging.fresh.create(context(), "default", generated)).obj["metadata"]["name"] == "web-bbbbb"


async def test_a_name_that_is_always_taken_is_refused_in_the_end(lagging, monkeypatch):
    for module in ("objectmeta", "create"):
        monkeypatch.setattr(f"windlass.registry.{module}.generate_name", lambda _base: "one")
    with pytest.raises(AlreadyExistsError):
        await lagging.fresh.create(context(), "default", Body({"metadata": {"generateName": "o"}}))


async def test_delete_collection_raises_what_one_deletion_raised(lagging):
    with pytest.raises(ConflictError):
        await lagging.fresh.delete_collection(context(), "default", ListOptions(), DeleteOptions(uid="another"))


async def test_delete_collection_goes_past_what_has_gone(lagging):
    await lagging.fresh.delete(context(), lagging.target(), DeleteOptions())
    listing = await lagging.stale.list("default", ListOptions(resource_version="0"))
    assert [item.name for item in listing.items] == ["one"]
    await lagging.stale.delete_collection(context(), "default", ListOptions(resource_version="0"), DeleteOptions())


async def test_a_leader_writes_by_the_caches_word(lagging):
    async def get(key):
        raise AssertionError(f"{key} was read from the store")

    lagging.store.get = get
    await lagging.stale.patch(context(fence="kube-system/leader/one/1"), lagging.target(), PATCH)


async def test_a_renewal_that_the_cache_has_not_seen_does_not_stop_a_leader(lagging):
    await elect(lagging, "one", 1)
    await lagging.stale.patch(context(fence="kube-system/leader/one/1"), lagging.target(), PATCH)


async def test_a_leader_that_the_cache_has_not_seen_writes(lagging):
    await elect(lagging, "two", 2)
    await lagging.stale.patch(context(fence="kube-system/leader/two/2"), lagging.target(), PATCH)


async def test_a_former_leader_does_not_write_whatever_the_cache_says(lagging):
    """The cache still shows the old leader: the guard of the commit refuses."""
    await elect(lagging, "two", 2)
    with pytest.raises(ConflictError, match="held by two"):
        await lagging.stale.patch(context(fence="kube-system/leader/one/1"), lagging.target(), PATCH)
    assert b'"b"' not in (await lagging.store.get("core/configmaps/default/one")).value
