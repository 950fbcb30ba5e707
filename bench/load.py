"""A closed-loop HTTP/1.1 load generator: N connections, each with one request in flight.

Bounded in count; stops by itself. The clock starts when every connection has had one answer. It runs in a process of its
own and is counted in the machine's cores. Only loopback addresses are accepted.
"""

import argparse
import asyncio
import ipaddress
import json
import ssl
import time
from collections.abc import Callable

PAGE = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete."""

    def __init__(self, take: Callable[[], bytes | None], record: Callable[[float, int], None]) -> None:
        self.take, self.record = take, record
        self.buffer = b""
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def greet(self):
        self.transport.write(request("GET", "/livez"))

    def send(self):
        request = self.take()
        if request is None:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self.started = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data):
        self.buffer += data
        end = self.buffer.find(PAGE)
        if end < 0:
            return
        head = self.buffer[:end].lower()
        if b"transfer-encoding: chunked" in head:
            if not self.buffer.endswith(b"0\r\n\r\n"):
                return
        else:
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
        status, self.buffer = int(self.buffer[9:12]), b""
        if not self.greeted.done():
            self.greeted.set_result(None)
            return
        self.record(time.perf_counter() - self.started, status)
        self.send()

    def connection_lost(self, error):
        for waited in (self.greeted, self.done):
            if not waited.done():
                waited.set_exception(error or ConnectionError("the server closed the connection"))


async def run(
    host: str, port: int, context: ssl.SSLContext | None, requests: Callable[[int], bytes], count: int, clients: int
) -> dict[str, float]:
    """Send `count` requests over `clients` connections; return rate, latency percentiles (ms) and failures."""
    assert ipaddress.ip_address(host).is_loopback
    number, latencies, failures = 0, [], 0

    def take():
        nonlocal number
        if number >= count:
            return None
        number += 1
        return requests(number)

    def record(seconds, status):
        nonlocal failures
        latencies.append(seconds)
        failures += status >= 300

    loop = asyncio.get_running_loop()
    made = await asyncio.gather(
        *(loop.create_connection(lambda: Connection(take, record), host, port, ssl=context) for _ in range(clients))
    )
    # Clients keep their connections. In TLS 1.3 the server still verifies the client's certificate when the client is done:
    # sixty-four of these at once would be the 99th percentile of what follows, so each has one answer first.
    for _, protocol in made:
        protocol.greet()
    await asyncio.gather(*(protocol.greeted for _, protocol in made))
    started = time.perf_counter()
    for _, protocol in made:
        protocol.send()
    await asyncio.gather(*(protocol.done for _, protocol in made))
    elapsed = time.perf_counter() - started
    latencies.sort()
    return {
        "rate": count / elapsed,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "failures": failures,
    }


def request(method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    """Encode one request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    return head.encode() + b"\r\n" + body


def main() -> None:
    """Run one load described by JSON on stdin, print the figures as JSON: used by the other benchmarks."""
    import sys

    argparse.ArgumentParser(description=__doc__).parse_args()
    job = json.load(sys.stdin)
    context = None
    if job.get("ca"):
        context = ssl.create_default_context(cafile=job["ca"])
        if job.get("cert"):
            context.load_cert_chain(job["cert"], job["key"])

    def make(number: int) -> bytes:
        body = job.get("body", "").replace("@N@", f"{job.get('prefix', '')}{number}")
        if job.get("base64_key"):
            import base64

            body = body.replace("@K@", base64.b64encode(f"{job.get('prefix', '')}{number}".encode()).decode())
        return request(job["method"], job["path"].replace("@N@", str(number)), body.encode())

    try:
        import uvloop

        result = uvloop.run(run(job["host"], job["port"], context, make, job["count"], job["clients"]))
    except ImportError:
        result = asyncio.run(run(job["host"], job["port"], context, make, job["count"], job["clients"]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
