"""Commits per second of each store, with 1 and with 64 clients, beside etcd in the same run.

etcd is spoken to over its JSON gateway (`/v3/kv/txn`, a create-if-absent, what our `create` is); every store syncs to disk.
Rounds are interleaved forwards and backwards; the median of the rounds is printed, with the machine's own fdatasync rate.
The load generator and the servers share the machine. Needs Debian's etcd-server and zookeeper.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import aiohttp

from windlass.store.sqlite import SqliteStore
from windlass.store.zookeeper import ZooKeeperStore
from windlass.testing.zookeeper import Ensemble

VALUE = b'{"pad":"' + b"x" * 850 + b'"}'
numbers = itertools.count()


class Etcd:
    """An etcd server and its JSON gateway."""

    def __init__(self, directory):
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.url, peer = (f"http://127.0.0.1:{each.getsockname()[1]}" for each in (probe, other))
        self._command = [
            "etcd", "--data-dir", str(directory / "etcd"), "--listen-client-urls", self.url, "--advertise-client-urls",
            self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
            f"default={peer}", "--log-level", "error",
        ]

    async def start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        deadline = time.monotonic() + 20
        while True:
            try:
                await self.create("ready", b"1")
                return
            except aiohttp.ClientError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def close(self):
        await self._session.close()
        self._process.kill()
        self._process.wait()

    async def create(self, key, value):
        name = base64.b64encode(key.encode()).decode()
        body = {
            "compare": [{"key": name, "target": "CREATE", "create_revision": "0"}],
            "success": [{"request_put": {"key": name, "value": base64.b64encode(value).decode()}}],
        }
        async with self._session.post(f"{self.url}/v3/kv/txn", data=json.dumps(body)) as response:
            response.raise_for_status()
            await response.read()


def fdatasyncs(directory, seconds=1.0):
    """How often this disk syncs 900 bytes in a second."""
    with (directory / "floor").open("wb", buffering=0) as file:
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            file.write(b"x" * 900)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - started)


async def measure(store, clients, seconds):
    """Return commits per second and the 99th percentile of their latency in milliseconds."""
    latencies, end = [], time.perf_counter() + seconds

    async def client():
        while (began := time.perf_counter()) < end:
            await store.create(f"core/pods/bench/{next(numbers)}", VALUE)
            latencies.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    elapsed = time.perf_counter() - started
    return len(latencies) / elapsed, sorted(latencies)[int(len(latencies) * 0.99)] * 1000


async def main(rounds, seconds):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"fdatasync of 900 bytes: {fdatasyncs(directory):,.0f}/s")
        stores = {"sqlite": SqliteStore(directory / "state.db")}
        ensemble = None
        if shutil.which("java"):
            ensemble = Ensemble(directory, 1)
            ensemble.start()
            stores["zookeeper"] = ZooKeeperStore(f"{ensemble.hosts}/bench", "bench:bench")
        if shutil.which("etcd"):
            stores["etcd"] = Etcd(directory)
        try:
            for store in stores.values():
                await store.start()
            await compare(stores, rounds, seconds)
        finally:
            for store in stores.values():
                await store.close()
            if ensemble is not None:
                ensemble.stop()


async def compare(stores, rounds, seconds):
    for clients in (1, 64):
        found = {name: [] for name in stores}
        for turn in range(rounds):
            order = list(stores) if turn % 2 == 0 else list(reversed(stores))
            for name in order:
                found[name].append(await measure(stores[name], clients, seconds))
        medians = {name: statistics.median(rate for rate, _ in results) for name, results in found.items()}
        for name, results in found.items():
            rates = [rate for rate, _ in results]
            latency = statistics.median(p99 for _, p99 in results)
            ratio = f", {medians[name] / medians['etcd']:.2f} x etcd" if "etcd" in medians and name != "etcd" else ""
            print(
                f"{clients:3} clients, {name:9}: {medians[name]:8,.0f} commits/s"
                f" ({min(rates):,.0f} to {max(rates):,.0f}), p99 {latency:.1f} ms{ratio}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.seconds))
