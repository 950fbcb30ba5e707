"""Cluster addresses and node ports: never the same one twice, none lost, none for a dry run."""

import asyncio
from datetime import timedelta

import pytest

from windlass.api.kubernetes_service import KubernetesService, advertised_address
from windlass.apis.scheme import builtin_scheme
from windlass.errors import AlreadyExistsError, InternalServerError, InvalidError, UnknownOutcomeError
from windlass.plugin.interfaces.authn import UserInfo
from windlass.registry.admit import Target
from windlass.registry.backend import Backend, CacheReader
from windlass.registry.continuation import Snapshots
from windlass.registry.generic import Registry
from windlass.registry.options import Body, DeleteOptions, Patch, RequestContext
from windlass.registry.reservations import ADDRESSES, NODE_PORTS, Owner, Reservations
from windlass.registry.service_ranges import ServiceRanges, offered_addresses
from windlass.registry.service_repair import MIN_AGE_SECONDS, ServiceRepair
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass.testing.clock import FakeClock

MERGE = "application/merge-patch+json"


class Servers:
    """API servers over one store, each with a cache of its own."""

    def __init__(self, count=2, cidrs=("10.96.0.0/24",)):
        self.store, self.clock, scheme = MemoryStore(), FakeClock(), builtin_scheme()
        self.caches = [WatchCache(self.store, scheme, self.clock) for _ in range(count)]
        kind = scheme.by_resource("", "v1", "services")
        self.kind = kind
        self.backends = [
            Backend(self.store, cache, scheme, self.clock, (), CacheReader(cache, scheme), service_cidrs=cidrs)
            for cache in self.caches
        ]
        self.registries = [Registry(kind, backend, Snapshots(self.clock)) for backend in self.backends]
        self.tasks = []

    async def start(self):
        self.tasks = [asyncio.create_task(cache.run()) for cache in self.caches]
        for cache in self.caches:
            await cache.wait_synced()

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def create(self, name="web", server=0, *, dry_run=False, **spec):
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}
        made = await self.registries[server].create(context(dry_run), "default", Body(body))
        return made.obj["spec"]

    async def patch(self, name, spec):
        target = Target(self.kind, "default", name)
        return (await self.registries[0].patch(context(), target, Patch(MERGE, Body({"spec": spec})))).obj["spec"]

    async def delete(self, name="web"):
        await self.registries[0].delete(context(), Target(self.kind, "default", name), DeleteOptions())

    async def held(self, sort=ADDRESSES):
        return {one.value for one in await Reservations(self.backends[0], sort).all()}


def context(dry_run=False):
    return RequestContext(UserInfo("admin", ("system:masters",)), dry_run=dry_run)


@pytest.fixture
async def servers():
    made = Servers()
    await made.start()
    yield made
    await made.stop()


async def test_a_service_gets_an_address_and_returns_it(servers):
    spec = await servers.create()
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert await servers.held() == {spec["clusterIP"]}
    await servers.delete()
    assert await servers.held() == set()


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName", "externalName": "example.org"}])
async def test_headless_services_and_names_have_none(servers, spec):
    made = await servers.create(**spec)
    assert made.get("clusterIP") == spec.get("clusterIP")
    assert await servers.held() == set()


async def test_concurrent_creates_at_several_servers_never_share(servers):
    """A range with room for 14 is filled by two servers at once: 14 distinct addresses, and then it is full."""
    small = Servers(cidrs=("10.96.0.0/28",))
    await small.start()
    made = await asyncio.gather(
        *(small.create(f"s{number}", number % 2, type="NodePort") for number in range(20)), return_exceptions=True
    )
    await small.stop()
    specs = [one for one in made if isinstance(one, dict)]
    assert len({spec["clusterIP"] for spec in specs}) == 14 == len(specs)
    assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 14
    full = [one for one in made if isinstance(one, Exception)]
    assert all(isinstance(one, InternalServerError) and "range is full" in str(one) for one in full)
    assert len(await small.held(NODE_PORTS)) == 14


async def test_concurrent_asks_for_one_address_have_one_winner(servers):
    asks = [servers.create(f"s{number}", number % 2, clusterIP="10.96.0.50") for number in range(6)]
    made = await asyncio.gather(*asks, return_exceptions=True)
    refused = [one for one in made if isinstance(one, InvalidError)]
    assert len(refused) == 5
    assert "spec.clusterIPs: Invalid value" in str(refused[0])
    assert "failed to allocate IP 10.96.0.50: provided IP is already allocated" in str(refused[0])


@pytest.mark.parametrize("address", ["10.97.0.1", "10.96.0.0", "10.96.0.255", "fd00::1"])
async def test_addresses_outside_the_range_are_refused(servers, address):
    with pytest.raises(InvalidError, match=r"is not in the valid range. The range of valid IPs is 10\.96\.0\.0/24"):
        await servers.create(clusterIP=address)
    assert await servers.held() == set()


async def test_a_taken_node_port_is_refused_and_nothing_stays_reserved(servers):
    ports = [{"port": 80, "nodePort": 30080}]
    await servers.create("first", type="NodePort", ports=ports)
    before = await servers.held()
    with pytest.raises(InvalidError, match=r"spec.ports\[0\].nodePort: .*: provided port is already allocated"):
        await servers.create("second", 1, type="NodePort", ports=ports)
    assert await servers.held() == before
    with pytest.raises(InvalidError, match="The range of valid ports is 30000-32767"):
        await servers.create("third", type="NodePort", ports=[{"port": 80, "nodePort": 80}])


async def test_one_port_number_of_two_protocols_has_one_node_port(servers):
    ports = [{"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 54}]
    spec = await servers.create(type="NodePort", ports=ports)
    one, two, three = (port["nodePort"] for port in spec["ports"])
    assert one == two != three


async def test_a_dry_run_shows_but_reserves_nothing(servers):
    spec = await servers.create(dry_run=True, type="NodePort")
    assert spec["clusterIP"]
    assert spec["ports"][0]["nodePort"]
    assert await servers.held() == await servers.held(NODE_PORTS) == set()
    await servers.create("first", clusterIP="10.96.0.50")
    with pytest.raises(InvalidError, match="already allocated"):
        await servers.create("second", dry_run=True, clusterIP="10.96.0.50")


async def test_types_change_what_is_held(servers):
    """C203, C205, C206: what a type has is given out with it and freed with it."""
    made = await servers.create()
    named = await servers.patch("web", {"type": "ExternalName", "externalName": "example.org"})
    assert "clusterIP" not in named
    assert await servers.held() == set()
    ported = await servers.patch("web", {"type": "NodePort"})
    assert ported["clusterIP"]
    assert await servers.held(NODE_PORTS) == {str(ported["ports"][0]["nodePort"])}
    plain = await servers.patch("web", {"type": "ClusterIP"})
    assert plain["clusterIP"] == ported["clusterIP"]
    assert await servers.held(NODE_PORTS) == set()
    assert made["clusterIP"]


async def test_a_balancer_may_do_without_node_ports_and_has_a_health_port(servers):
    plain = await servers.create("a", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in plain["ports"][0]
    local = await servers.create("b", type="LoadBalancer", externalTrafficPolicy="Local")
    assert str(local["healthCheckNodePort"]) in await servers.held(NODE_PORTS)


async def test_a_create_that_fails_returns_what_it_took(servers):
    await servers.create()
    before = await servers.held()
    with pytest.raises(AlreadyExistsError):
        await servers.create(server=1)
    assert await servers.held() == before


async def test_an_unknown_outcome_keeps_the_reservation(servers, monkeypatch):
    """Nobody knows whether the Service is there: its address stays, until the repair pass knows."""
    plain = servers.store.create

    async def lost(key, value, *, guard=None):
        if key.startswith("core/services/"):
            raise UnknownOutcomeError("no answer")
        return await plain(key, value, guard=guard)

    monkeypatch.setattr(servers.store, "create", lost)
    with pytest.raises(UnknownOutcomeError):
        await servers.create()
    assert len(await servers.held()) == 1
    repair = ServiceRepair(servers.backends[0])
    assert await repair.once() == (0, 0)
    await servers.clock.advance(MIN_AGE_SECONDS)
    assert await repair.once() == (1, 0)
    assert await servers.held() == set()


async def test_the_repair_pass_reserves_what_is_held_without(servers):
    spec = await servers.create()
    reservations = Reservations(servers.backends[0], ADDRESSES)
    await reservations.drop(await reservations.find(spec["clusterIP"]))
    await servers.clock.advance(timedelta(seconds=MIN_AGE_SECONDS).total_seconds())
    await servers.caches[1].read_barrier(5)
    assert await ServiceRepair(servers.backends[1]).once() == (0, 1)
    assert await servers.held() == {spec["clusterIP"]}


async def test_the_owner_alone_gives_back(servers):
    reservations = Reservations(servers.backends[0], ADDRESSES)
    assert await reservations.take("10.96.0.9", Owner("default", "one", "u1"))
    assert await reservations.take("10.96.0.9", Owner("default", "one", "u1"))
    assert not await reservations.take("10.96.0.9", Owner("default", "two", "u2"))
    await reservations.give_back("10.96.0.9", "u2")
    assert await servers.held() == {"10.96.0.9"}


async def test_two_families(servers):
    dual = Servers(1, ("10.96.0.0/24", "fd00:96::/112"))
    await dual.start()
    spec = await dual.create(ipFamilyPolicy="RequireDualStack")
    single = await dual.create("six", ipFamilies=["IPv6"])
    await dual.stop()
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert [":" in address for address in spec["clusterIPs"]] == [False, True]
    assert single["clusterIP"].startswith("fd00:96::")
    with pytest.raises(InvalidError, match="not configured for dual-stack"):
        await servers.create(ipFamilyPolicy="RequireDualStack")
    assert await servers.held() == set()


async def test_the_api_servers_own_service(servers):
    """C212, C215: default/kubernetes serves HTTPS on 443 under the first address; deleted, it comes back."""
    keeper = KubernetesService(servers.backends[0], "192.0.2.7", 6443)
    await keeper.once()
    await keeper.once()
    assert await servers.held() == {"10.96.0.1"}
    await servers.caches[0].read_barrier(5)
    found = servers.backends[0].reader.get("services", "default", "kubernetes")
    assert found["spec"]["clusterIP"] == "10.96.0.1"
    assert [port["port"] for port in found["spec"]["ports"]] == [443]
    ends = servers.backends[0].reader.get("endpointslices.discovery.k8s.io", "default", "kubernetes")
    assert ends["endpoints"][0]["addresses"] == ["192.0.2.7"]
    await servers.delete("kubernetes")
    await keeper.once()
    assert await servers.held() == {"10.96.0.1"}


def test_a_loopback_listener_has_no_address_for_pods():
    """K77: no endpoint on 127.0.0.1, ours neither."""
    assert advertised_address("127.0.0.1") == advertised_address("localhost") == advertised_address("::1") == ""
    assert advertised_address("192.0.2.9") == "192.0.2.9"


def test_ranges():
    with pytest.raises(ValueError, match="at most one"):
        ServiceRanges.parse(["10.0.0.0/24", "10.1.0.0/24"])
    network = ServiceRanges.parse(["10.0.0.0/24"]).networks[0]
    offered = list(offered_addresses(network, {"10.0.0.100"}))
    assert len(offered) == len(set(offered)) == 253
    assert all(int(one.rpartition(".")[2]) > 16 for one in offered[:200])
