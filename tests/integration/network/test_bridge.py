"""The bridge network against the suite of all networks, in a network namespace of its own."""

import contextlib
import subprocess

import pytest

from windlass.plugin.interfaces.network import NodeNetworkConfig
from windlass.testing.conformance.network import NetworkConformance
from windlass_network.bridge import links
from windlass_network.bridge.driver import BridgeDriver

pytestmark = pytest.mark.root
POD_CIDR = "10.201.7.0/28"


def _holder():
    """Start a process that holds a new network namespace; it says so on its output when it is in it."""
    command = ["unshare", "--net", "sh", "-c", "echo in; exec sleep 600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"in\n"
    return process


@pytest.fixture
def netns():
    holders = []

    def make():
        holders.append(_holder())
        return f"/proc/{holders[-1].pid}/ns/net"

    yield make
    for holder in holders:
        holder.kill()
        holder.wait()
        holder.stdout.close()


class _InNamespace(BridgeDriver):
    """The driver with its netlink threads inside a test's own "host" namespace."""

    def __init__(self, path):
        super().__init__(bridge="wltest0", mtu=1400)
        self._path = path
        self.nft = ("nsenter", f"--net={path}", "nft")

    def _open(self):
        return links.inside(self._path)


@pytest.fixture
async def driver(tmp_path, netns):
    driver = _InNamespace(netns())
    config = NodeNetworkConfig("node-1", "127.0.0.1", [POD_CIDR], ["10.201.0.0/16"], [], str(tmp_path))
    await driver.setup(config)
    yield driver
    await driver.teardown()


class TestBridge(NetworkConformance):
    async def test_a_full_range_is_an_error_that_names_it(self, driver, netns):
        for number in range(13):
            await driver.add(f"sandbox-{number}", netns())
        with pytest.raises(Exception, match=r"no free address in pod range 10\.201\.7\.0/28: 13 in use"):
            await driver.add("one-too-many", netns())

    async def test_an_address_is_not_reused_at_once(self, driver, netns):
        path = netns()
        first = await driver.add("one", path)
        await driver.delete("one", path)
        second = await driver.add("two", netns())
        assert first.ips != second.ips

    async def test_a_reservation_without_a_link_is_taken_up(self, driver, netns):
        """K78: killed between reserve and use; the next `add` goes on with the same address."""
        reserved = driver._ipams[0].reserve("half")
        made = await driver.add("half", netns())
        assert made.ips == (reserved,)

    async def test_vanished_pods_are_unreachable(self, driver, netns):
        """A packet to a pod range that no node here has does not leave the host."""

        def unreachable(netlink):
            return [r for r in netlink.get_routes() if r["type"] == 7 and r.get_attr("RTA_DST") == "10.201.0.0"]

        assert await driver._run(unreachable)

    async def test_pods_reach_each_other_and_the_gateway(self, driver, netns):
        one, two = netns(), netns()
        await driver.add("one", one)
        other = await driver.add("two", two)
        for target in (other.ips[0], "10.201.7.1"):
            with contextlib.closing(_ping(one, target)) as done:
                assert done.wait() == 0


class _Ping:
    def __init__(self, process):
        self.process = process

    def wait(self):
        return self.process.wait(10)

    def close(self):
        self.process.poll()


def _ping(path, target):
    command = ["nsenter", f"--net={path}", "busybox", "ping", "-c", "1", "-W", "3", target]
    return _Ping(subprocess.Popen(command, stdout=subprocess.DEVNULL))
