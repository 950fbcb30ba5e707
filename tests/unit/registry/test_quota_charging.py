"""Quotas under concurrent creates at several API servers: the sum never passes a bound."""

import asyncio
import random

import orjson
import pytest

from windlass.admission.limit_ranger import LimitRanger
from windlass.apis.core.v1.quota_charges import pending_charges
from windlass.apis.scheme import builtin_scheme
from windlass.errors import AlreadyExistsError, ForbiddenError, UnknownOutcomeError
from windlass.plugin.interfaces.authn import UserInfo
from windlass.registry.admit import Target
from windlass.registry.backend import Backend, CacheReader
from windlass.registry.continuation import Snapshots
from windlass.registry.generic import Registry
from windlass.registry.options import Body, Patch, RequestContext
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass.testing.clock import FakeClock


class Servers:
    """API servers over one store, each with a cache of its own."""

    def __init__(self, count=2):
        self.store, self.clock, self.scheme = MemoryStore(), FakeClock(), builtin_scheme()
        self.caches = [WatchCache(self.store, self.scheme, self.clock) for _ in range(count)]
        self.backends = [
            Backend(self.store, cache, self.scheme, self.clock, (LimitRanger(),), CacheReader(cache, self.scheme))
            for cache in self.caches
        ]
        self.tasks = []

    async def start(self):
        self.tasks = [asyncio.create_task(cache.run()) for cache in self.caches]
        for cache in self.caches:
            await cache.wait_synced()

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def registry(self, plural, server=0):
        kind = self.scheme.by_resource("", "v1", plural)
        return Registry(kind, self.backends[server], Snapshots(self.clock))

    async def bound(self, name="q", scopes=(), **hard):
        """Make a quota as the controller would have filled it, known to every server."""
        hard = {key.replace("_", "."): bound for key, bound in hard.items()}
        spec = {"hard": hard, "scopes": list(scopes)}
        obj = {"metadata": {"name": name, "namespace": "ns", "uid": name}, "spec": spec,
               "status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}  # fmt: skip
        await self.store.create(f"core/resourcequotas/ns/{name}", orjson.dumps(obj))
        for cache in self.caches:
            await cache.read_barrier(30)

    async def quota(self, name="q"):
        return orjson.loads((await self.store.get(f"core/resourcequotas/ns/{name}")).value)

    async def used(self, name="q"):
        return (await self.quota(name))["status"]["used"]

    async def make(self, plural="configmaps", server=0, dry_run=False, name="x", **body):
        said = {"metadata": {"name": name}, **body}
        return await self.registry(plural, server).create(context(dry_run), "ns", Body(said))

    async def make_pod(self, name, server=0, **requests):
        container = {"name": "c", "image": "i", "resources": {"requests": requests}}
        return await self.make("pods", server, name=name, spec={"containers": [container]})


def context(dry_run=False):
    return RequestContext(UserInfo("admin", ("system:masters",)), dry_run=dry_run)


@pytest.fixture
async def servers():
    made = Servers()
    await made.start()
    yield made
    await made.stop()


async def test_a_namespace_without_quotas_is_not_charged(servers):
    await servers.make()
    await servers.bound(configmaps="1")
    await servers.make(name="y")
    with pytest.raises(ForbiddenError) as refused:
        await servers.make(name="z")
    assert str(refused.value) == (
        'configmaps "z" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1'
    )


@pytest.mark.parametrize("seed", range(5))
async def test_concurrent_creates_at_several_servers_never_pass_a_bound(servers, seed):
    """The first of both bounds that is reached holds; what was charged is what there is."""
    dice = random.Random(seed)
    await servers.bound("cpu", requests_cpu="2", pods="100")
    await servers.bound("pods", pods="12")
    cpus = [dice.choice((100, 250, 700)) for _ in range(24)]
    made = await asyncio.gather(
        *(servers.make_pod(f"p{index}", index % 2, cpu=f"{cpu}m") for index, cpu in enumerate(cpus)),
        return_exceptions=True,
    )
    assert all(isinstance(one, ForbiddenError) for one in made if isinstance(one, Exception)), made
    stored = [cpu for cpu, one in zip(cpus, made, strict=True) if not isinstance(one, Exception)]
    assert sum(stored) <= 2000
    assert len(stored) <= 12
    assert len(stored) == 12 or sum(stored) > 2000 - 700
    cpu, pods = await servers.used("cpu"), await servers.used("pods")
    total = cpu["requests.cpu"]
    assert int(total.removesuffix("m")) * (1 if total.endswith("m") else 1000) == sum(stored)
    assert cpu["pods"] == pods["pods"] == str(len(stored))


async def test_a_failed_create_is_refunded_and_a_dry_run_is_not_charged(servers):
    await servers.bound(configmaps="3")
    await servers.make()
    with pytest.raises(AlreadyExistsError):
        await servers.make()
    await servers.make(name="dry", dry_run=True)
    assert await servers.used() == {"configmaps": "1"}
    assert len(pending_charges(await servers.quota())) == 1


async def test_a_refusal_by_one_quota_takes_nothing_from_the_others(servers):
    await servers.bound("a", configmaps="3")
    await servers.bound("b", configmaps="0")
    with pytest.raises(ForbiddenError, match="exceeded quota: b"):
        await servers.make()
    assert await servers.used("a") == {"configmaps": "0"}


async def test_an_unknown_outcome_keeps_its_charge(servers, monkeypatch):
    await servers.bound(configmaps="3")

    async def lost(key, value, *, guard=None):
        raise UnknownOutcomeError("no answer")

    monkeypatch.setattr(servers.store, "create", lost)
    with pytest.raises(UnknownOutcomeError):
        await servers.make()
    assert await servers.used() == {"configmaps": "1"}


async def test_a_lowered_use_counts_at_once_whatever_the_cache_says(servers):
    await servers.bound(configmaps="1")
    await servers.make()
    key = "core/resourcequotas/ns/q"
    stored = await servers.store.get(key)
    freed = {**orjson.loads(stored.value), "status": {"hard": {"configmaps": "1"}, "used": {"configmaps": "0"}}}
    await servers.store.update(key, orjson.dumps(freed), revision=stored.revision)
    await servers.make(name="next")
    assert await servers.used() == {"configmaps": "1"}


async def test_updates_are_charged_for_what_they_add(servers):
    """C076."""
    await servers.bound(services="2", services_nodeports="0", services_loadbalancers="0")
    await servers.make("services", spec={"ports": [{"port": 80}]})
    registry = servers.registry("services")

    def patch(spec):
        target = Target(registry.kind, "ns", "x")
        return registry.patch(context(), target, Patch("application/merge-patch+json", Body({"spec": spec})))

    with pytest.raises(ForbiddenError, match=r"requested: services\.nodeports=1, used: services\.nodeports=0"):
        await patch({"type": "NodePort"})
    await patch({"sessionAffinity": "ClientIP"})
    assert (await servers.used())["services"] == "1"


async def test_containers_must_say_what_is_bounded(servers):
    await servers.bound(limits_cpu="4", requests_memory="1Gi")
    with pytest.raises(ForbiddenError) as refused:
        await servers.make_pod("p", cpu="1")
    assert str(refused.value) == (
        'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: c; requests.memory for: c'
    )
