"""The bridge network on two hosts: real namespaces, a real link between them, real pings."""

import asyncio
import subprocess

import pytest

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.network import NodeNetworkConfig, NodePeer
from windlass.testing.conformance.network import NetworkConformance
from windlass_network.bridge import links
from windlass_network.bridge.driver import BridgeDriver

pytestmark = pytest.mark.root
HOSTS = {
    "one": ("192.0.2.1", ("10.202.1.0/24", "fd00:202:1::/64")),
    "two": ("192.0.2.2", ("10.202.2.0/24", "fd00:202:2::/64")),
}
CLUSTER = ["10.202.0.0/16", "fd00:202::/32"]
OUTSIDE = "198.51.100.1"


def run(path, *command, check=True):
    done = subprocess.run(
        ["nsenter", f"--net={path}", *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


async def _reach(path, program, target):
    """Ping until there is an answer."""
    async with asyncio.timeout(60):
        while run(path, "busybox", program, "-c", "1", "-W", "1", target, check=False).returncode:
            await asyncio.sleep(0.1)


def ping(path, target, *options):
    return run(path, "busybox", "ping", "-c", "1", "-W", "3", *options, target, check=False).returncode == 0


@pytest.fixture
def netns():
    holders = []

    def make():
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo in; exec sleep 600"], stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"in\n"
        holders.append(holder)
        return f"/proc/{holder.pid}/ns/net"

    yield make
    for holder in holders:
        holder.kill()
        holder.wait()
        holder.stdout.close()


class OnHost(BridgeDriver):
    """The driver with its netlink threads inside a "host" namespace."""

    def __init__(self, path, **options):
        super().__init__(bridge="wltest0", **options)
        self.path = path
        self.nft = ("nsenter", f"--net={path}", "nft")

    def _open(self):
        return links.inside(self.path)


@pytest.fixture
def wire(netns):
    """Two hosts on one link; no default route. Each has forwarding on, as `setup` would do outside of a test."""
    one, two = netns(), netns()
    run(one, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two.split("/")[2])
    for path, (address, _) in zip((one, two), HOSTS.values(), strict=True):
        run(path, "ip", "link", "set", "lo", "up")
        run(path, "ip", "link", "set", "eth0", "up")
        run(path, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        run(path, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    return {"one": one, "two": two}


async def start(wire, tmp_path, **options):
    drivers = {}
    for name, (address, cidrs) in HOSTS.items():
        driver = drivers[name] = OnHost(wire[name], **options)
        config = NodeNetworkConfig(name, address, cidrs, CLUSTER, [], str(tmp_path / name))
        await driver.setup(config)
    return drivers


def peer(name):
    address, cidrs = HOSTS[name]
    return NodePeer(name, (address,), cidrs)


async def know_each_other(drivers):
    await drivers["one"].set_peers([peer("two")])
    await drivers["two"].set_peers([peer("one")])


@pytest.mark.parametrize("mode", ["vxlan", "host-gw"])
async def test_pods_of_two_hosts_reach_each_other(wire, netns, tmp_path, mode):
    """By IPv4 in both modes, and by IPv6 through the tunnel over IPv4; with full-sized packets that may not be cut."""
    drivers = await start(wire, tmp_path, mode=mode)
    await know_each_other(drivers)
    here, there = netns(), netns()
    mine = await drivers["one"].add("a", here)
    other = await drivers["two"].add("b", there)
    assert ping(here, other.ips[0])
    assert ping(there, mine.ips[0])
    assert ping(wire["one"], other.ips[0])
    size = 1500 - (50 if mode == "vxlan" else 0) - 28
    assert ping(here, other.ips[0], "-s", str(size))
    if mode == "vxlan":
        assert "mtu 1450" in run(here, "ip", "link", "show", "eth0").stdout
        await _reach(here, "ping6", other.ips[1])  # once the addresses are no longer tentative


async def test_the_source_address_stays_inside_and_is_the_node_s_outside(wire, netns, tmp_path):
    drivers = await start(wire, tmp_path)
    await know_each_other(drivers)
    run(wire["two"], "ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo")
    run(wire["one"], "ip", "route", "add", OUTSIDE, "via", "192.0.2.2")
    pod = netns()
    mine = await drivers["one"].add("a", pod)
    # Without masquerading two would answer through the tunnel; so the tunnel is taken away.
    await drivers["two"].set_peers([])
    assert ping(pod, OUTSIDE)
    assert not ping(pod, "10.202.2.1")
    await drivers["two"].set_peers([peer("one")])
    assert ping(pod, "10.202.2.1")
    assert mine.ips[0] in run(wire["two"], "ip", "route", "get", mine.ips[0]).stdout


async def test_a_peer_that_goes_leaves_no_way_and_one_that_moves_is_followed(wire, netns, tmp_path):
    drivers = await start(wire, tmp_path)
    await know_each_other(drivers)
    pod = netns()
    await drivers["one"].add("a", pod)
    assert ping(pod, "10.202.2.1")
    await drivers["one"].set_peers([])
    assert not ping(pod, "10.202.2.1")
    for command in (("ip", "neigh", "show", "dev", "wltest0-vx"), ("bridge", "fdb", "show", "dev", "wltest0-vx")):
        shown = run(wire["one"], *command).stdout
        assert "10.202.2" not in shown
        assert "192.0.2.2" not in shown
    await drivers["one"].set_peers([NodePeer("two", ("192.0.2.9",), HOSTS["two"][1])])
    assert not ping(pod, "10.202.2.1")
    run(wire["two"], "ip", "address", "add", "192.0.2.9/24", "dev", "eth0")
    await _reach(pod, "ping", "10.202.2.1")  # once the underlay has looked for the address again
    await drivers["one"].set_peers([peer("two")])
    assert run(wire["one"], "bridge", "fdb", "show", "dev", "wltest0-vx").stdout.count("dst") == 1


async def test_what_others_break_is_repaired_and_what_is_theirs_stays(wire, netns, tmp_path):
    """N72: the tunnel and its routes come back with the next word about peers; foreign routes are not touched."""
    drivers = await start(wire, tmp_path)
    await know_each_other(drivers)
    run(wire["one"], "ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.2")
    run(wire["one"], "ip", "link", "delete", "wltest0-vx")
    with pytest.raises(NetworkDriverError, match="wltest0-vx has gone"):
        await drivers["one"].status()
    await drivers["one"].set_peers([peer("two")])
    await drivers["one"].status()
    assert ping(wire["one"], "10.202.2.1")
    assert "203.0.113.0/24" in run(wire["one"], "ip", "route").stdout


async def test_a_restart_changes_nothing_and_teardown_leaves_nothing(wire, tmp_path):
    before = {name: _state(path) for name, path in wire.items()}
    drivers = await start(wire, tmp_path)
    await know_each_other(drivers)
    up = _state(wire["one"])
    drivers = await start(wire, tmp_path)
    await know_each_other(drivers)
    assert _state(wire["one"]) == up
    assert up != before["one"]
    for driver in drivers.values():
        await driver.teardown()
    assert {name: _state(path) for name, path in wire.items()} == before


def _state(path):
    shown = (("ip", "-o", "link"), ("ip", "route"), ("ip", "-6", "route"), ("nft", "list", "ruleset"))
    return [sorted(line.split(" state ")[0] for line in run(path, *c).stdout.splitlines()) for c in shown]


class TestOnALink(NetworkConformance):
    """The suite of all networks, on a node that has a tunnel."""

    @pytest.fixture
    async def driver(self, wire, tmp_path):
        drivers = await start(wire, tmp_path)
        yield drivers["one"]
        for driver in drivers.values():
            await driver.teardown()
