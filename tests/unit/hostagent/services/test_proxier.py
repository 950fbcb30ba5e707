"""The agent's loop around a proxy: all at the start, then what changes, and everything again after a failure."""

import asyncio

import pytest

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.proxy import NodeProxyConfig
from windlass.testing.clock import FakeClock
from windlass.testing.conformance.proxy import (
    NODE,
    ONE,
    POD_CIDR,
    SERVICE_CIDR,
    TWO,
    WEB,
    endpoint,
    endpoint_slice,
    service,
)
from windlass.testing.proxy import FakeProxy
from windlass_hostagent.services.proxier import CHECK_SECONDS, ServiceProxier

CONFIG = NodeProxyConfig(NODE, ["192.0.2.1"], [POD_CIDR], [SERVICE_CIDR])


class Informer:
    """A copy that the test changes."""

    def __init__(self):
        self.objects, self.handlers, self.index = {}, [], None

    def on_event(self, handler):
        self.handlers.append(handler)

    def add_index(self, _name, function):
        self.index = function

    async def wait_synced(self):
        return

    def get(self, namespace, name):
        return self.objects.get((namespace, name))

    def list(self):
        return list(self.objects.values())

    def by_index(self, _name, value):
        return [obj for obj in self.objects.values() if value in self.index(obj)]

    def put(self, obj):
        key = obj["metadata"]["namespace"], obj["metadata"]["name"]
        old = self.objects.get(key)
        self.objects[key] = obj
        self._tell(old, obj)

    def drop(self, key):
        self._tell(self.objects.pop(key), None)

    def _tell(self, old, new):
        for handler in self.handlers:
            handler("MODIFIED", old, new)


class Events(list):
    def event(self, obj, _type, reason, message):
        self.append((obj["name"], reason, message))


class Setup:
    def __init__(self):
        self.services, self.slices, self.proxy = Informer(), Informer(), FakeProxy()
        self.events, self.clock = Events(), FakeClock()
        self.proxier = ServiceProxier(
            self.proxy, (self.services, self.slices), lambda: CONFIG, recorder=self.events, clock=self.clock
        )

    def web(self, *addresses, name="web", ip="10.96.0.20", **labels):
        obj = service(name, ip)
        obj["metadata"]["labels"] = labels
        self.services.put(obj)
        piece = endpoint_slice(*(endpoint(ip) for ip in addresses))
        piece["metadata"] = {
            "name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name},
        }  # fmt: skip
        self.slices.put(piece)

    async def until(self, probe):
        async with asyncio.timeout(20):
            while not probe():
                await self.clock.advance(0.1)
                await asyncio.sleep(0)


@pytest.fixture
async def setup():
    made = Setup()
    made.web(ONE)
    task = asyncio.create_task(made.proxier.run())
    await made.until(lambda: made.proxy.calls)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_at_the_start_then_what_changes(setup):
    assert setup.proxy.calls == [("sync", 1)]
    assert setup.proxy.route("10.96.0.20", 80) == f"{ONE}:8080"
    setup.web(TWO)
    setup.web(ONE, name="other", ip="10.96.0.21")
    await setup.until(lambda: len(setup.proxy.calls) == 2)
    assert setup.proxy.calls[1] == ("apply", 2)
    assert setup.proxy.route("10.96.0.20", 80) == f"{TWO}:8080"
    setup.services.drop(WEB)
    await setup.until(lambda: WEB not in setup.proxy.services)
    assert setup.proxier.statistics()["syncs"] == 1


async def test_a_failed_step_is_followed_by_a_whole_sync(setup):
    setup.proxy.failures = [NetworkDriverError("no"), NetworkDriverError("still no")]
    setup.web(TWO)
    await setup.until(lambda: setup.proxier.statistics()["syncs"] == 2)
    assert [verb for verb, _ in setup.proxy.calls] == ["sync", "apply", "sync", "sync"]
    assert setup.proxy.route("10.96.0.20", 80) == f"{TWO}:8080"


async def test_interference_is_repaired(setup):
    """K79: within the time between two checks."""
    setup.proxy.intact = False
    await setup.clock.advance(CHECK_SECONDS)
    await setup.until(lambda: setup.proxy.intact)
    assert setup.proxier.statistics()["failures"] == 1


async def test_what_is_not_served_is_an_event_once(setup):
    """K77."""
    setup.web("127.0.0.1", ONE)
    await setup.until(lambda: setup.events)
    setup.web("127.0.0.1", TWO)
    await setup.until(lambda: setup.proxy.route("10.96.0.20", 80) == f"{TWO}:8080")
    assert [event[:2] for event in setup.events] == [("web", "InvalidEndpoint")]


async def test_services_of_another_proxy_are_left_to_it(setup):
    setup.web(ONE, **{"service.kubernetes.io/service-proxy-name": "theirs"})
    await setup.until(lambda: WEB not in setup.proxy.services)
