"""1,000 watchers of one kind over TLS, 100 events/s: how many are delivered, and when the last watcher has each.

Target: none lost, p99 from the write to the last watcher <= 200 ms. The watchers share the machine's two cores with the
server. No peer in this run.
"""

import asyncio
import json
import re
import ssl
import sys
import time

from api import windlass
from load import request

WATCHERS, RATE, SECONDS = 1000, 100, 10
PATH = "/api/v1/namespaces/default/configmaps"
STAMP = re.compile(rb'"data":\{"t":"(\d+)"\}')


class Watcher(asyncio.Protocol):
    """Reads a watch and notes when each event came."""

    def __init__(self, seen: dict[int, list[float]]) -> None:
        self.seen = seen
        self.rest = b""
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(request("GET", f"{PATH}?watch=1&resourceVersion=0"))

    def data_received(self, data):
        if not self.ready.done():
            self.ready.set_result(None)
        data = self.rest + data
        now = time.time_ns()
        last = 0
        for match in STAMP.finditer(data):
            self.seen.setdefault(int(match.group(1)), []).append((now - int(match.group(1))) / 1e6)
            last = match.end()
        self.rest = data[max(last, len(data) - 64) :]


async def run(server) -> None:
    """Connect the watchers, write events at the rate, and print what was delivered."""
    context = ssl.create_default_context(cafile=server["ca"])
    context.load_cert_chain(server["cert"], server["key"])
    loop, seen = asyncio.get_running_loop(), {}
    made = []
    for start in range(0, WATCHERS, 50):
        batch = (
            loop.create_connection(lambda: Watcher(seen), server["host"], server["port"], ssl=context)
            for _ in range(start, min(start + 50, WATCHERS))
        )
        made += await asyncio.gather(*batch)
    await asyncio.gather(*(watcher.ready for _, watcher in made))
    reader, writer = await asyncio.open_connection(server["host"], server["port"], ssl=context)
    began = time.perf_counter()
    for number in range(RATE * SECONDS):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "e-"},
            "data": {"t": str(time.time_ns())},
        }
        writer.write(request("POST", PATH, json.dumps(body).encode()))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower()).group(1)))
    elapsed = time.perf_counter() - began
    deadline = time.monotonic() + 10
    while sum(map(len, seen.values())) < WATCHERS * RATE * SECONDS and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    delivered = sum(map(len, seen.values()))
    slowest = sorted(max(latencies) for latencies in seen.values())
    print(
        f"{WATCHERS} watchers, {RATE * SECONDS / elapsed:.0f} events/s: {delivered:,} of {WATCHERS * RATE * SECONDS:,} delivered; "
        f"write to last watcher p50 {slowest[len(slowest) // 2]:.0f} ms, p99 {slowest[int(len(slowest) * 0.99)]:.0f} ms"
    )
    for transport, _ in made:
        transport.abort()
    writer.close()


def main() -> None:
    """Run against an API server alone."""
    with windlass("sqlite") as server:
        try:
            import uvloop

            uvloop.run(run(server))
        except ImportError:
            asyncio.run(run(server))


if __name__ == "__main__":
    sys.exit(main())
