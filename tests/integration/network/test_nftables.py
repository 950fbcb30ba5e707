"""The nftables proxy against the suite of all proxies, with real traffic: a node and its pods are network namespaces."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.api.app import build_app
from windlass.api.bootstrap import create_system_objects
from windlass.api.config import ApiConfig
from windlass.apis.resources import ENDPOINTSLICES, SERVICES
from windlass.apis.scheme import builtin_scheme
from windlass.auth.plugin import register_authenticators, register_authorizers
from windlass.client.client import Client
from windlass.client.informer import Informer
from windlass.client.recorder import EventRecorder
from windlass.client.transport import InProcessTransport
from windlass.clock import SystemClock
from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.proxy import NodeProxyConfig, ServiceState
from windlass.registry.backend import CacheReader
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass.testing.conformance.proxy import (
    NODE,
    ONE,
    POD_CIDR,
    SERVICE_CIDR,
    TWO,
    WEB,
    ProxyConformance,
    endpoint,
    endpoint_slice,
    keyed,
    service,
    state,
)  # fmt: skip
from windlass_hostagent.services.proxier import ServiceProxier
from windlass_network.bridge import links
from windlass_network.nftables.driver import NftablesProxy
from windlass_network.nftables.nft import Nft

pytestmark = pytest.mark.root
VIP, NODE_IP, CLIENT_IP = "10.96.0.20", "192.0.2.1", "192.0.2.2"
ANSWER = """
import socket, socketserver, sys, threading
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        host, port = self.request.getsockname()[:2]
        self.request.sendall(f"{host}:{port} {self.client_address[0]}".encode())
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(sys.argv[1].encode(), self.client_address)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, request_queue_size = True, 128
for port in (8080, 8081):
    threading.Thread(target=Server(("0.0.0.0", port), Tcp).serve_forever).start()
threading.Thread(target=socketserver.UDPServer(("0.0.0.0", 8082), Udp).serve_forever).start()
print("in", flush=True)
"""
ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s:
        print(s.recv(100).decode())
except (ConnectionRefusedError, ConnectionResetError):
    print("refused")
"""

ASK_UDP = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect((sys.argv[1], 80))
    try:
        s.send(b"x")
        print(s.recv(100).decode())
    except (ConnectionRefusedError, PermissionError):
        print("refused")
"""


class Network:
    """A node with a bridge, two pods and a client outside, each a network namespace held by a process."""

    def __init__(self):
        self.processes = []
        self.node = self._hold("sleep", "600")
        self.pods = {ip: self._hold(sys.executable, "-c", ANSWER, ip) for ip in (ONE, TWO)}
        self.client = self._hold("sleep", "600")

    def _hold(self, *command):
        script = 'ip link set lo up; [ "$1" = sleep ] && echo in; exec "$@"'
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", script, "sh", *command], stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout.readline() == b"in\n"
        return process.pid

    def run(self, pid, *command, check=True):
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", *command], capture_output=True, text=True, check=False, timeout=30
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wire(self):
        node = self.node
        for command in (
            "ip link add wl0 type bridge", "ip addr add 10.201.7.1/28 dev wl0", "ip link set wl0 up",
            "sysctl -qw net.ipv4.ip_forward=1", "ip route add unreachable 10.96.0.0/16 metric 4278198272",
        ):  # fmt: skip
            self.run(node, *command.split())
        for number, (ip, pid) in enumerate(self.pods.items()):
            self._pair(f"v{number}", pid, f"{ip}/28")
            self.run(node, *f"ip link set v{number} master wl0".split())
            self.run(node, *f"bridge link set dev v{number} hairpin on".split())
            self.run(pid, *["ip", "route", "add", "default", "via", "10.201.7.1"])
        self._pair("up0", self.client, f"{CLIENT_IP}/24")
        self.run(node, *f"ip addr add {NODE_IP}/24 dev up0".split())
        self.run(self.client, *f"ip route add default via {NODE_IP}".split())

    def _pair(self, name, pid, address):
        self.run(self.node, *f"ip link add {name} type veth peer name eth0 netns {pid}".split())
        self.run(self.node, "ip", "link", "set", name, "up")
        self.run(pid, "ip", "addr", "add", address, "dev", "eth0")
        self.run(pid, "ip", "link", "set", "eth0", "up")

    def ask(self, pid, address, port):
        """Return who answers and whom it takes the client for."""
        return self.run(pid, sys.executable, "-c", ASK, address, str(port)).split()

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()


class InNamespace(NftablesProxy):
    """The driver of a node that is a namespace."""

    def __init__(self, pid):
        super().__init__(Nft(["nsenter", f"--net=/proc/{pid}/ns/net"]))
        self._path = f"/proc/{pid}/ns/net"

    @contextlib.contextmanager
    def _inside(self):
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        target = os.open(self._path, os.O_RDONLY)
        try:
            links._setns(target)
            with super()._inside() as netlink:
                yield netlink
        finally:
            links._setns(own)
            os.close(own)
            os.close(target)


@pytest.fixture(scope="module")
def network():
    network = Network()
    try:
        network.wire()
        yield network
    finally:
        network.close()


def node_config():
    return NodeProxyConfig(NODE, [NODE_IP], [POD_CIDR], [SERVICE_CIDR], ["10.201.7.1"])


@pytest.fixture
async def proxy(network):
    proxy = InNamespace(network.node)
    await proxy.setup(node_config())
    yield proxy
    await proxy.teardown()
    assert "windlass" not in network.run(network.node, "nft", "list", "tables")
    assert "dev lo" not in network.run(network.node, "ip", "route")


@pytest.fixture
def reach(network):
    async def connect(address, port):
        answer = await asyncio.to_thread(network.ask, network.node, address, port)
        return None if answer == ["refused"] else answer[0]

    return connect


class TestNftables(ProxyConformance):
    """The suite (with C209 and C214 from the node), and what only a real network shows."""

    async def test_pods_reach_services_with_their_own_address(self, proxy, network):
        """Also a pod that is its Service's only endpoint (hairpin), which sees the node instead."""
        await proxy.sync(keyed(state(endpoint(TWO))))
        assert network.ask(network.pods[ONE], VIP, 80) == [f"{TWO}:8080", ONE]
        assert network.ask(network.pods[TWO], VIP, 80) == [f"{TWO}:8080", "10.201.7.1"]
        await proxy.apply({WEB: state()})
        assert network.ask(network.pods[ONE], VIP, 80) == ["refused"]
        assert network.ask(network.pods[ONE], "10.96.0.99", 80) == ["refused"]

    @pytest.mark.parametrize(("policy", "source"), [("Cluster", "10.201.7.1"), ("Local", CLIENT_IP)])
    async def test_a_node_port_answers_outside(self, proxy, network, policy, source):
        """C205, C208: with externalTrafficPolicy Local the source address is kept."""
        ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
        spec = {"type": "NodePort", "ports": ports, "externalTrafficPolicy": policy}
        await proxy.sync(keyed(state(endpoint(ONE), **spec)))
        assert network.ask(network.client, NODE_IP, 30080) == [f"{ONE}:8080", source]
        assert network.ask(network.node, NODE_IP, 30080)[0] == f"{ONE}:8080"
        await proxy.apply({WEB: state(**spec)})
        assert network.ask(network.client, NODE_IP, 30080) == ["refused"]

    async def test_external_and_balancer_addresses(self, proxy, network):
        """The balancer's source ranges let in whom they name."""
        balanced = service(type="LoadBalancer", externalIPs=["203.0.113.5"], loadBalancerSourceRanges=["192.0.2.2/32"])
        balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.6"}]}}
        await proxy.sync(keyed(ServiceState(balanced, [endpoint_slice(endpoint(ONE))])))
        for address in ("203.0.113.5", "203.0.113.6"):
            assert network.ask(network.client, address, 80)[0] == f"{ONE}:8080"
        balanced["spec"]["loadBalancerSourceRanges"] = ["198.51.100.0/24"]
        await proxy.apply({WEB: ServiceState(balanced, [endpoint_slice(endpoint(ONE))])})
        rules = network.run(network.node, "nft", "list", "set", "inet", "windlass", "sources4")
        assert "198.51.100.0/24" in rules
        assert "192.0.2.2" not in rules

    @pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "224.0.0.1", VIP, ONE, NODE_IP, "0.0.0.0"])
    async def test_martian_external_addresses_make_no_rule(self, proxy, network, address):
        """K77: with a reason; the Service's other addresses are served."""
        problems = await proxy.sync(keyed(state(endpoint(ONE), externalIPs=[address])))
        assert [problem.reason for problem in problems] == ["InvalidExternalIP"]
        listed = network.run(network.node, "nft", "list", "map", "inet", "windlass", "services4")
        assert listed.count(" : goto") == 1

    async def test_more_endpoints_than_any_service_had(self, proxy, network, reach):
        """The table is made anew with room for them; all else stays."""
        await proxy.sync(keyed(ServiceState(service("other", "10.96.0.40"), [endpoint_slice(endpoint(TWO))])))
        many = [endpoint_slice(endpoint(ONE), port=port) for port in (8080, *range(9000, 9040))]
        await proxy.apply({WEB: ServiceState(service(), many)})
        await proxy.check()
        assert "mod 41 " in network.run(network.node, "nft", "list", "chain", "inet", "windlass", "pick4-41")
        assert await reach("10.96.0.40", 80) == f"{TWO}:8080"

    async def test_two_agents_in_one_namespace_do_not_fight(self, proxy, network, reach):
        """The second is told; what it removes is not the first one's."""
        await proxy.sync(keyed(state(endpoint(ONE))))
        other = InNamespace(network.node)
        with pytest.raises(NetworkDriverError, match="another agent"):
            await other.setup(node_config())
        await other.teardown()
        assert await reach(VIP, 80) == f"{ONE}:8080"

    async def test_udp_flows_follow_their_service(self, proxy, network):
        """K76: a flow to an endpoint that has left goes on with another one, from the same socket."""
        ports = [{"port": 53, "protocol": "UDP"}]

        def at(ip):
            return ServiceState(service(ports=ports), [endpoint_slice(endpoint(ip), port=8082, protocol="UDP")])

        await proxy.sync(keyed(at(ONE)))
        script = textwrap.dedent(
            f"""
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect(("{VIP}", 53))
            for line in sys.stdin:
                s.send(b"x"); print(s.recv(100).decode(), flush=True)
            """
        )
        command = ["nsenter", f"--net=/proc/{network.node}/ns/net", sys.executable, "-c", script]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as client:
            answers = []
            for ip in (ONE, TWO):
                await proxy.apply({WEB: at(ip)})
                client.stdin.write("go\n")
                client.stdin.flush()
                answers.append(client.stdout.readline().strip())
        assert answers == [ONE, TWO]

    async def test_one_port_of_two_protocols(self, proxy, network):
        """C217: TCP and UDP under one number; each goes with its entry, the other one stays."""
        both = [{"name": "t", "port": 80, "protocol": "TCP"}, {"name": "u", "port": 80, "protocol": "UDP"}]
        slices = [
            endpoint_slice(endpoint(ONE), name="t"),
            endpoint_slice(endpoint(ONE), name="u", port=8082, protocol="UDP"),
        ]
        answers = []
        for ports in (both, both[:1], both[1:]):
            await proxy.sync(keyed(ServiceState(service(ports=ports), slices)))
            tcp = await asyncio.to_thread(network.ask, network.pods[TWO], VIP, 80)
            udp = await asyncio.to_thread(network.run, network.pods[TWO], sys.executable, "-c", ASK_UDP, VIP)
            answers.append((tcp[0], udp))
        assert answers == [(f"{ONE}:8080", ONE), (f"{ONE}:8080", "refused"), ("refused", ONE)]

    @pytest.mark.parametrize("harm", ["flush table inet windlass", "delete table inet windlass"])
    async def test_what_others_do_to_our_table_is_noticed_and_repaired(self, proxy, network, reach, harm):
        """K79: and their own tables are left alone."""
        network.run(network.node, "nft", "add table inet foreign; add chain inet foreign theirs")
        await proxy.sync(keyed(state(endpoint(ONE))))
        await proxy.check()
        network.run(network.node, "nft", *harm.split())
        with pytest.raises(NetworkDriverError, match="changed or removed"):
            await proxy.check()
        await proxy.sync(keyed(state(endpoint(ONE))))
        assert await reach(VIP, 80) == f"{ONE}:8080"
        assert "theirs" in network.run(network.node, "nft", "list", "table", "inet", "foreign")
        network.run(network.node, "nft", "delete", "table", "inet", "foreign")

    async def test_a_kill_during_sync_refuses_nobody(self, network, tmp_path):
        """K75: whatever moment the process dies at, every connection is answered."""
        script = tmp_path / "syncing.py"
        script.write_text(SYNCING)
        command = ["nsenter", f"--net=/proc/{network.node}/ns/net", sys.executable, str(script)]
        first = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert first.stdout.readline() == b"synced\n"
        prober = subprocess.Popen(
            [*command[:2], sys.executable, "-c", PROBER, VIP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(12):
            await asyncio.sleep(0)
            first.stdout.readline()
            for _ in range(number % 4):
                first.stdout.readline()
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            first.stdout.close()
            first = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert first.stdout.readline() == b"synced\n"
        out, _ = prober.communicate("stop\n", timeout=60)
        first.kill()
        first.wait()
        first.stdout.close()
        network.run(network.node, "nft", "delete", "table", "inet", "windlass")
        asked, failed = map(int, out.split())
        assert asked > 100
        assert failed == 0


@pytest.fixture
async def clients(tmp_path):
    """Clients of an API server in this process: an administrator's and node-1's."""
    clock, scheme, store = SystemClock(), builtin_scheme(), MemoryStore()
    await store.start()
    await create_system_objects(store, clock)
    cache = WatchCache(store, scheme, clock)
    following = asyncio.ensure_future(cache.run())
    await cache.wait_synced()
    identities = {"pki_dir": str(tmp_path), "reader": CacheReader(cache, scheme), "clock": clock}
    app = build_app(
        scheme=scheme, store=store, cache=cache, authenticators=[driver for one in register_authenticators() if (driver := one.build(identities))], clock=clock,
        authorizers=[driver for one in register_authorizers() if (driver := one.build(identities))],
        admission=[driver for one in register_admission_plugins() if (driver := one.build(identities))],
        config=ApiConfig(service_cidrs=(SERVICE_CIDR,)),
    )  # fmt: skip
    yield [
        Client(InProcessTransport(app, user="admin", groups=["system:masters"])),
        Client(InProcessTransport(app, user=f"system:node:{NODE}", groups=["system:nodes"])),
    ]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await store.close()


async def test_from_the_api_to_the_wire(clients, proxy, network, reach):
    """A Service as a user writes it gets an address, the agent sees it with its node's rights, connections arrive."""
    admin, node = clients
    informers = Informer(node, SERVICES, clock=SystemClock()), Informer(node, ENDPOINTSLICES, clock=SystemClock())
    recorder = EventRecorder(node, "kube-proxy", SystemClock())
    proxier = ServiceProxier(proxy, informers, node_config, recorder=recorder, clock=SystemClock())
    tasks = [asyncio.ensure_future(one.run()) for one in (*informers, proxier)]

    async def until(expected, address):
        async with asyncio.timeout(60):
            while await reach(address, 80) != expected:
                await asyncio.sleep(0.02)

    try:
        body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
        address = (await admin.create(SERVICES, body, "default"))["spec"]["clusterIP"]
        await until(None, address)
        meta = {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
        made = await admin.create(ENDPOINTSLICES, {"metadata": meta, **endpoint_slice(endpoint(ONE))}, "default")
        await until(f"{ONE}:8080", address)
        await admin.update(ENDPOINTSLICES, {**made, "endpoints": [endpoint(TWO)]})
        await until(f"{TWO}:8080", address)
        await admin.delete(SERVICES, "web", "default")
        await until(None, address)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


SYNCING = f"""
import asyncio
from windlass.testing.conformance.proxy import *
from windlass.plugin.interfaces.proxy import NodeProxyConfig
from windlass_network.nftables.driver import NftablesProxy
async def main():
    proxy = NftablesProxy()
    await proxy.setup(NodeProxyConfig("{NODE}", ["{NODE_IP}"], ["{POD_CIDR}"], ["{SERVICE_CIDR}"], ["10.201.7.1"]))
    others = [ServiceState(service(f"s{{n}}", f"10.96.1.{{n}}"), [endpoint_slice(endpoint(ONE))]) for n in range(1, 200)]
    while True:
        for ends in ((endpoint(ONE),), (endpoint(ONE), endpoint(TWO))):
            await proxy.sync(keyed(state(*ends), *others))
            print("synced", flush=True)
            await proxy.apply({{WEB: state(endpoint(TWO))}})
            print("applied", flush=True)
asyncio.run(main())
"""
PROBER = """
import select, socket, sys
asked = failed = 0
while not select.select([sys.stdin], [], [], 0.005)[0]:
    asked += 1
    try:
        with socket.create_connection((sys.argv[1], 80), 5) as s:
            assert b":8080" in s.recv(100)
    except (OSError, AssertionError) as error:
        failed += 1
        print(repr(error), file=sys.stderr)
print(asked, failed)
"""
