"""Service proxy with 1k, 5k and 10k Services of four endpoints, beside iptables-restore with kube-proxy's rule layout.

Run as root: python bench/proxy.py. Works in a network namespace of its own. BENCH_SERVICES=1000,30000 sets the sizes.
Prints the time of a full sync, of one endpoint's change, and of a connection's handshake straight and by way of a Service.
"""

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from windlass.plugin.interfaces.proxy import NodeProxyConfig, ServiceState
from windlass_network.nftables.driver import NftablesProxy

SIZES = [int(text) for text in os.environ.get("BENCH_SERVICES", "1000,5000,10000").split(",")]
ENDPOINTS = 4
CHANGES = 15
CONNECTIONS = 1500
SERVER = ("10.202.0.1", 8080)
CONFIG = NodeProxyConfig("node", ["192.0.2.1"], ["10.202.0.0/16"], ["10.96.0.0/12"])


def address(number: int) -> str:
    """Return the cluster address of a Service."""
    return f"10.{97 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def endpoints(number: int, shift: int = 0) -> list[str]:
    """Return the addresses behind a Service; all of the first one's are the server's."""
    if not number:
        return [SERVER[0]]
    return [
        f"10.202.{(number + k + shift) // 250 % 250}.{(number * 4 + k + shift) % 250 + 2}" for k in range(ENDPOINTS)
    ]


def state(number: int, shift: int = 0) -> ServiceState:
    """Return a Service with its slice."""
    ports = [{"port": 80, "protocol": "TCP"}]
    spec = {"clusterIP": address(number), "clusterIPs": [address(number)], "type": "ClusterIP", "ports": ports}
    ends = [{"addresses": [ip], "conditions": {"ready": True}} for ip in endpoints(number, shift)]
    piece = {"addressType": "IPv4", "endpoints": ends, "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]}
    return ServiceState({"metadata": {"name": f"s{number}", "namespace": "default"}, "spec": spec}, [piece])


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def service_chain(number: int, shift: int) -> Iterator[str]:
    """Yield the rules of kube-proxy's chains of one Service."""
    ends = endpoints(number, shift)
    for k, ip in enumerate(ends):
        left = len(ends) - k
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        yield f"-A KUBE-SVC-{number} -m comment --comment default/s{number} {chance}-j KUBE-SEP-{number}-{k}"
        yield f"-A KUBE-SEP-{number}-{k} -s {ip}/32 -j KUBE-MARK-MASQ"
        yield f"-A KUBE-SEP-{number}-{k} -p tcp -m tcp -j DNAT --to-destination {ip}:8080"


def iptables_rules(count: int, whole: range, shift: int = 0) -> str:
    """Return input of iptables-restore: the services' chain in full, as kube-proxy writes it, and these Services' own."""
    lines = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]"]
    for number in whole:
        lines.append(f":KUBE-SVC-{number} - [0:0]")
        lines += [f":KUBE-SEP-{number}-{k} - [0:0]" for k in range(len(endpoints(number)))]
    lines.append("-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000")
    for number in range(count):
        lines.append(
            f'-A KUBE-SERVICES -m comment --comment "default/s{number} cluster IP" -d {address(number)}/32 '
            f"-p tcp -m tcp --dport 80 -j KUBE-SVC-{number}"
        )
    for number in whole:
        lines += service_chain(number, shift)
    return "\n".join([*lines, "COMMIT", ""])


def restore(command: str, text: str) -> float:
    """Return the seconds of one iptables-restore."""
    return timed(lambda: subprocess.run([command, "--noflush"], input=text, text=True, check=True))


def serve() -> None:
    """Accept connections and close them."""
    listener = socket.create_server(SERVER, backlog=512)

    def accept() -> None:
        while True:
            listener.accept()[0].close()

    threading.Thread(target=accept, daemon=True).start()


def handshakes(target: tuple[str, int]) -> tuple[float, float]:
    """Return the median and the 99th percentile of connecting, in microseconds."""
    taken = []
    for _ in range(CONNECTIONS):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            taken.append(timed(lambda: client.connect(target)) * 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def show_handshakes(what: str) -> None:
    """Measure straight and by way of the first Service, in turns."""
    direct, through = handshakes(SERVER), handshakes((address(0), 80))
    print(
        f"  {what}: handshake p50 {through[0]:.0f} us, p99 {through[1]:.0f} us by Service; "
        f"{direct[0]:.0f}, {direct[1]:.0f} straight: {through[1] / direct[1]:.2f} times at p99",
        flush=True,
    )


async def nftables(count: int) -> None:
    """Measure ours."""
    proxy = NftablesProxy()
    await proxy.setup(CONFIG)
    states = {("default", f"s{n}"): state(n) for n in range(count)}
    start = time.perf_counter()
    await proxy.sync(states)
    full = time.perf_counter() - start
    changes = []
    for shift in range(1, CHANGES + 1):
        start = time.perf_counter()
        await proxy.apply({("default", "s7"): state(7, shift)})
        changes.append(time.perf_counter() - start)
    print(f"  nftables: full sync {full:.2f} s, one change {statistics.median(changes) * 1000:.1f} ms", flush=True)
    await asyncio.to_thread(show_handshakes, "nftables")
    await proxy.teardown()


def iptables(count: int) -> None:
    """Measure the peer: every kind of iptables-restore that there is."""
    for command in ("iptables-nft-restore", "iptables-legacy-restore"):
        if shutil.which(command) is None:
            print(f"  {command} is not installed")
            continue
        tables = command.removesuffix("-restore")
        try:
            full = restore(command, iptables_rules(count, range(count)))
            jump = ["-t", "nat", "-A", "OUTPUT", "-j", "KUBE-SERVICES"]
            subprocess.run([tables, *jump], check=True)
            changes = [restore(command, iptables_rules(count, range(7, 8), shift)) for shift in range(1, 4)]
        except subprocess.CalledProcessError as error:
            print(f"  {command} does not work here: {error}")
            continue
        name = f"{command}: full sync {full:.2f} s, one change {statistics.median(changes) * 1000:.1f} ms"
        print(f"  {name}", flush=True)
        show_handshakes(tables)
        for verb in ("-F", "-X"):
            subprocess.run([tables, "-t", "nat", verb], check=True)


def main() -> int:
    """Enter a namespace of our own, then measure."""
    if os.geteuid() != 0 or shutil.which("nft") is None:
        print("needs root and nft")
        return 0
    if "--inside" not in sys.argv:
        return subprocess.run(["unshare", "--net", sys.executable, __file__, "--inside"], check=False).returncode
    for command in ("ip link set lo up", f"ip addr add {SERVER[0]}/32 dev lo", "ip route add default dev lo"):
        subprocess.run(command.split(), check=True)
    serve()
    for count in SIZES:
        print(f"{count} Services, {ENDPOINTS} endpoints each", flush=True)
        asyncio.run(nftables(count))
        iptables(count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
