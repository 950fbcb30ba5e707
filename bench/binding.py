"""SchedulingBasic over HTTP: pods created by 64 clients until a watch has seen all of them bound.

A real API server (TLS, SQLite, fsync) and a real manager process; the nodes are objects that nobody runs. Target: >= 800
pods/s. The peer's line is published (kube-scheduler's scheduler_perf, larger hardware): Debian has none to run beside
us. The machine's own limit is printed: a bound pod is three writes (pod, binding, event).
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from api import load, windlass

from windlass.cli.datadir import DataDir
from windlass.cli.ready import admin_context

PUBLISHED_FLOOR = 680
NAMESPACE = "/api/v1/namespaces/default"
CONTROLLERS = "replicaset"
"""No controller is wanted, least of all the one that notices that the nodes send no heartbeats; one must be named."""


def node():
    amounts = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    conditions = [{"type": "Ready", "status": "True", "reason": "Bench", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]
    labels = {"kubernetes.io/hostname": "node-@N@"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-@N@", "labels": labels},
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": conditions},
    }


def pod():
    amounts = {"cpu": "100m", "memory": "500Mi"}
    container = {"name": "pause", "image": "pause", "resources": {"requests": amounts, "limits": amounts}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod-@N@", "labels": {"app": "bench"}},
        "spec": {"containers": [container]},
    }


@contextmanager
def manager(root: Path):
    """A manager process with its scheduler."""
    command = [sys.executable, "-m", "windlass.cli", "manager", "--kubeconfig", root / "manager.kubeconfig"]
    with (root / "manager.log").open("w") as log:
        process = subprocess.Popen([*command, "--port", "0", "--controllers", CONTROLLERS], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


class Bindings:
    """Notes when each pod was first seen, and when bound."""

    def __init__(self) -> None:
        self.created: dict[str, float] = {}
        self.bound: dict[str, float] = {}

    async def watch(self, root: Path, url: str) -> None:
        """Read the watch of pods, raw: a parsed object per event would cost the server its core."""
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=admin_context(DataDir(root)))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=1 << 22) as session,
            session.get(f"{url}{NAMESPACE}/pods", params={"watch": "1", "resourceVersion": "0"}) as answer,
        ):
            async for line in answer.content:
                self.note(line, time.perf_counter())

    def note(self, line: bytes, now: float) -> None:
        name = line[line.index(b'"name":"pod-') + 8 :].split(b'"', 1)[0].decode()
        self.created.setdefault(name, now)
        if b'"nodeName":"' in line:
            self.bound.setdefault(name, now)

    async def wait(self, count: int) -> None:
        """Wait until so many are bound; complain when nothing moves."""
        seen, quiet = -1, 0
        while len(self.bound) < count:
            quiet = quiet + 1 if len(self.bound) == seen else 0
            if quiet > 600:
                raise RuntimeError(f"{len(self.bound)} of {count} pods bound, and no more for a minute")
            seen = len(self.bound)
            await asyncio.sleep(0.1)


def post(server, kind, body, prefix, count):
    """Create objects; return the load generator's figures."""
    figures = load(**server, method="POST", path=kind, body=json.dumps(body), prefix=prefix, count=count, clients=64)
    if figures["failures"]:
        raise RuntimeError(f"{figures['failures']} of {count} requests to {kind} failed")
    return figures


async def run(server, options):
    """Return pods per second from the first request to the last binding seen, and the latencies of the bindings."""
    root = Path(server["ca"]).parent.parent
    bindings = Bindings()
    await asyncio.to_thread(post, server, "/api/v1/nodes", node(), "", options.nodes)
    watching = asyncio.create_task(bindings.watch(root, f"https://127.0.0.1:{server['port']}"))
    with manager(root):
        await asyncio.to_thread(post, server, f"{NAMESPACE}/pods", pod(), "init-", options.initial)
        await bindings.wait(options.initial)
        started = time.perf_counter()
        creating = await asyncio.to_thread(post, server, f"{NAMESPACE}/pods", pod(), "m-", options.pods)
        await bindings.wait(options.initial + options.pods)
    watching.cancel()
    await asyncio.wait([watching])
    measured = [name for name in bindings.bound if name.startswith("pod-m-")]
    latencies = sorted(bindings.bound[name] - bindings.created[name] for name in measured)
    return options.pods / (max(bindings.bound.values()) - started), latencies, creating["rate"]


def main() -> None:
    """Run some rounds, each in a cluster of its own, and print the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--initial", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates = []
    for _ in range(options.rounds):
        with windlass("sqlite") as server:
            rate, latencies, creates = asyncio.run(run(server, options))
        rates.append(rate)
        print(
            f"  {rate:,.0f} pods/s; seen to bound p50 {latencies[len(latencies) // 2]:.2f} s, "
            f"p99 {latencies[int(len(latencies) * 0.99)]:.2f} s; creates meanwhile {creates:,.0f}/s"
        )
    median = statistics.median(rates)
    print(
        f"SchedulingBasic {options.nodes}/{options.initial}/{options.pods} over HTTP: {median:,.0f} pods/s; "
        f"ratio to the published floor of kube-scheduler ({PUBLISHED_FLOOR}/s, larger hardware) {median / PUBLISHED_FLOOR:.2f}"
    )


if __name__ == "__main__":
    main()
