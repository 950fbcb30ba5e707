"""The node's DNS in a network namespace that is a node, asked from one that is a pod on its bridge, by real clients."""

import asyncio
import ctypes
import os
import subprocess
import sys
import threading

import pytest
from dnslib import DNSRecord

from windlass.apis.resources import ENDPOINTSLICES, SERVICES
from windlass.client.informer import Informer
from windlass.clock import SystemClock
from windlass.plugin.interfaces.network import NodeNetworkConfig
from windlass_hostagent.dns_server.node_dns import DnsSettings, NodeDns
from windlass_network.bridge import links
from windlass_network.bridge.driver import BridgeDriver

pytestmark = pytest.mark.root
POD_CIDR = "10.201.8.0/28"
SERVICE_CIDR = "10.202.0.0/16"


class _InNamespace(BridgeDriver):
    def __init__(self, path):
        super().__init__(bridge="wldns0", mtu=1400)
        self._path = path

    def _open(self):
        return links.inside(self._path)


@pytest.fixture
def netns():
    holders = []

    def make():
        command = ["unshare", "--net", "sh", "-c", "echo in; exec sleep 600"]
        holders.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert holders[-1].stdout.readline() == b"in\n"
        return f"/proc/{holders[-1].pid}/ns/net"

    yield make
    for holder in holders:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def _meta(name, version, **labels):
    return {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version), "labels": labels}


WEB = {
    "metadata": _meta("web", 1),
    "spec": {"clusterIP": "10.202.0.9", "clusterIPs": ["10.202.0.9"], "ports": [{"name": "http", "port": 80}]},
}
BIG = {"metadata": _meta("big", 2), "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}
BIG_SLICE = {
    "metadata": _meta("big-1", 3, **{"kubernetes.io/service-name": "big"}),
    "addressType": "IPv4",
    "endpoints": [{"addresses": [f"10.201.9.{number}"], "conditions": {"ready": True}} for number in range(1, 121)],
    "ports": [{"name": "http", "port": 80}],
}


class _Node(threading.Thread):
    """A loop of its own in the node's namespace; informers are filled by hand and never run: the API is away (K82)."""

    def __init__(self, netns_path, addresses, resolv_conf):
        super().__init__(name="dns-node", daemon=True)
        self._netns_path, self._addresses, self._resolv_conf = netns_path, addresses, resolv_conf
        self.serving = threading.Event()
        self.problem = None

    def run(self):
        try:
            descriptor = os.open(self._netns_path, os.O_RDONLY)
            assert ctypes.CDLL(None, use_errno=True).setns(descriptor, links.CLONE_NEWNET) == 0
            os.close(descriptor)
            asyncio.run(self._main())
        except BaseException as error:
            self.problem = error
        finally:
            self.serving.set()

    async def _main(self):
        clock = SystemClock()
        services = Informer(None, SERVICES, clock=clock)
        slices = Informer(None, ENDPOINTSLICES, clock=clock)
        settings = DnsSettings(
            self._addresses, "cluster.local", [POD_CIDR, "10.201.0.0/16"], [SERVICE_CIDR], self._resolv_conf
        )
        dns = NodeDns(settings, services, slices, clock)
        for informer, objects in ((services, [WEB, BIG]), (slices, [BIG_SLICE])):
            for obj in objects:
                informer._set(obj)
            informer._synced.set()
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.ensure_future(dns.run(asyncio.Event(), self.serving.set))
        await asyncio.wait({serving, asyncio.ensure_future(self._ending.wait())}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    def end(self):
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
        self.join(20)


@pytest.fixture
async def pod(tmp_path, netns):
    """A pod's namespace on a node with DNS; returns (namespace, gateway)."""
    node_path, pod_path = netns(), netns()
    driver = _InNamespace(node_path)
    await driver.setup(
        NodeNetworkConfig("n", "127.0.0.1", [POD_CIDR], ["10.201.0.0/16"], [SERVICE_CIDR], str(tmp_path))
    )
    await driver.add("pod", pod_path)
    (tmp_path / "resolv.conf").write_text("")
    node = _Node(node_path, driver.node_addresses(), tmp_path / "resolv.conf")
    node.start()
    await asyncio.to_thread(node.serving.wait, 30)
    assert node.problem is None, node.problem
    yield pod_path, driver.node_addresses()[0]
    await asyncio.to_thread(node.end)
    await driver.teardown()


def _run(pod_path, *command, check=True):
    whole = ["nsenter", f"--net={pod_path}", *command]
    done = subprocess.run(whole, capture_output=True, text=True, check=False, timeout=60)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


ASK = (
    "import sys; from dnslib import DNSRecord; q = DNSRecord.question(sys.argv[2], sys.argv[3]); "
    "print(q.send(sys.argv[1], 53, tcp=sys.argv[4] == 'tcp', timeout=20).hex())"
)


def _ask(pod_path, server, name, kind="A", protocol="udp"):
    out = _run(pod_path, sys.executable, "-c", ASK, server, name, kind, protocol)
    return DNSRecord.parse(bytes.fromhex(out.strip()))


async def test_a_pod_gets_answers_over_udp_and_tcp(pod):
    """C184, C185: names of Services from a pod's namespace, at its gateway; K82: while nothing feeds the informers."""
    path, server = pod
    for protocol in ("udp", "tcp"):
        reply = _ask(path, server, "web.shop.svc.cluster.local", "A", protocol)
        assert [str(rr.rdata) for rr in reply.rr] == ["10.202.0.9"]
    reply = _ask(path, server, "_http._tcp.web.shop.svc.cluster.local", "SRV")
    assert str(reply.rr[0].rdata) == "0 100 80 web.shop.svc.cluster.local."


async def test_a_large_answer_comes_whole_over_tcp(pod):
    path, server = pod
    name = "big.shop.svc.cluster.local"
    assert _ask(path, server, name).header.tc == 1
    assert len(_ask(path, server, name, protocol="tcp").rr) == 120


async def test_names_outside_are_refused_without_an_upstream(pod):
    path, server = pod
    assert _ask(path, server, "example.com").header.rcode == 5


@pytest.mark.busybox
async def test_busyboxs_nslookup_understands_the_answers(pod):
    path, server = pod
    assert "10.202.0.9" in _run(path, "busybox", "nslookup", "web.shop.svc.cluster.local", server, check=False)
    assert "NXDOMAIN" in _run(path, "busybox", "nslookup", "none.shop.svc.cluster.local", server, check=False)
    assert "web.shop.svc.cluster.local" in _run(path, "busybox", "nslookup", "10.202.0.9", server, check=False)
