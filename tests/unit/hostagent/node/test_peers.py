"""Which nodes the network driver hears of, and when."""

import asyncio

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.network import NodePeer
from windlass.testing.clock import FakeClock
from windlass_hostagent.node.peers import NodePeers, peers_of, remember_pod_cidrs, remembered_pod_cidrs


def node(name, cidr="", address=""):
    addresses = [{"type": "Hostname", "address": name}]
    if address:
        addresses.append({"type": "InternalIP", "address": address})
    return {
        "metadata": {"name": name},
        "spec": {"podCIDRs": [cidr]} if cidr else {},
        "status": {"addresses": addresses},
    }


class Nodes:
    """An informer as far as NodePeers uses one."""

    has_synced = True

    def __init__(self):
        self.nodes = {}
        self.handlers = []

    def on_event(self, handler):
        self.handlers.append(handler)

    def get(self, _namespace, name):
        return self.nodes.get(name)

    def list(self):
        return list(self.nodes.values())

    async def wait_synced(self):
        return None

    def put(self, obj):
        self.nodes[obj["metadata"]["name"]] = obj
        self.tell()

    def drop(self, name):
        del self.nodes[name]
        self.tell()

    def tell(self):
        for handler in self.handlers:
            handler("MODIFIED", None, None)


class Driver:
    def __init__(self, failures=0):
        self.failures = failures
        self.calls = asyncio.Queue()

    async def set_peers(self, peers):
        if self.failures:
            self.failures -= 1
            self.calls.put_nowait("failed")
            raise NetworkDriverError("no")
        self.calls.put_nowait([peer.name for peer in peers])


def test_only_others_that_can_be_reached():
    nodes = [
        node("me", "10.0.0.0/24", "192.0.2.1"),
        node("z", "10.0.2.0/24", "192.0.2.3"),
        node("b", "10.0.1.0/24", "192.0.2.2"),
        node("young", "", "192.0.2.4"),
        node("nowhere", "10.0.3.0/24"),
    ]
    assert peers_of(nodes, "me") == [
        NodePeer("b", ("192.0.2.2",), ("10.0.1.0/24",)),
        NodePeer("z", ("192.0.2.3",), ("10.0.2.0/24",)),
    ]


async def test_the_own_range_is_waited_for():
    nodes = Nodes()
    peers = NodePeers(nodes, "me", FakeClock())
    waiting = asyncio.ensure_future(peers.own_node())
    nodes.put(node("me", "", "192.0.2.1"))
    nodes.put(node("other", "10.0.1.0/24", "192.0.2.2"))
    await asyncio.sleep(0)
    assert not waiting.done()
    nodes.put(node("me", "10.0.0.0/24", "192.0.2.1"))
    async with asyncio.timeout(30):
        assert (await waiting)["spec"]["podCIDRs"] == ["10.0.0.0/24"]


async def test_the_driver_hears_of_comings_and_goings_and_tries_again():
    nodes, driver, clock = Nodes(), Driver(failures=1), FakeClock()
    nodes.put(node("a", "10.0.1.0/24", "192.0.2.2"))
    running = asyncio.ensure_future(NodePeers(nodes, "me", clock).run(driver))
    async with asyncio.timeout(30):
        assert await driver.calls.get() == "failed"
        await clock.advance(5)
        assert await driver.calls.get() == ["a"]
        nodes.put(node("b", "10.0.2.0/24", "192.0.2.3"))
        assert await driver.calls.get() == ["a", "b"]
        nodes.drop("a")
        assert await driver.calls.get() == ["b"]
        nodes.tell()
        await clock.advance(61)
        assert await driver.calls.get() == ["b"]
    assert driver.calls.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_ranges_are_remembered(tmp_path):
    assert remembered_pod_cidrs(tmp_path) == []
    remember_pod_cidrs(tmp_path, ["10.0.0.0/24", "fd00::/64"])
    assert remembered_pod_cidrs(tmp_path) == ["10.0.0.0/24", "fd00::/64"]
