"""Queries per second of one node's DNS and their latency, beside a bare asyncio UDP echo under the same load.

    python bench/dns.py [--services 10000] [--queries 60000] [--at-once 64]

A server process on loopback knows 10,000 Services and 100 headless ones of 3 endpoints; a client process keeps `at-once`
queries under way. The mix is what a pod's resolver sends for `web.shop` under ndots:5: a miss in the first search
domain, then the hit, each as A and AAAA; one name in ten is headless; 1,000 of the
Services are asked for. "quiet": nothing changes in the cluster, answers
are remembered; "changing": an endpoint changes a hundred times a second, and all that is remembered is forgotten each
time. Server and client share the machine's cores.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import time
from pathlib import Path

from dnslib import DNSRecord

from windlass.apis.resources import ENDPOINTSLICES, SERVICES
from windlass.client.informer import Informer
from windlass.clock import SystemClock
from windlass.testing.ports import free_port
from windlass_hostagent.dns_server.node_dns import DnsSettings, NodeDns

CHANGES_PER_SECOND = 100
ASKED = 1_000


def service(number, headless=False):
    name, ip = (
        f"{'db' if headless else 'web'}-{number}",
        f"10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}",
    )
    ips = ["None"] if headless else [ip]
    meta = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"clusterIP": ips[0], "clusterIPs": ips, "ports": [{"name": "http", "port": 80}]}}


def slice_of(number, version="1"):
    labels = {"kubernetes.io/service-name": f"db-{number}"}
    meta = {
        "name": f"db-{number}-x",
        "namespace": "shop",
        "uid": f"s{number}",
        "resourceVersion": version,
        "labels": labels,
    }
    endpoints = [{"addresses": [f"10.244.{number}.{n}"], "hostname": f"db-{n}"} for n in range(3)]
    return {"metadata": meta, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 80}]}


async def serve(pipe, count, changing):
    clock = SystemClock()
    services, slices = (Informer(None, resource, clock=clock) for resource in (SERVICES, ENDPOINTSLICES))
    port = free_port()
    settings = DnsSettings(["127.0.0.1"], "cluster.local", ["10.244.0.0/16"], ["10.96.0.0/12"], Path("/dev/null"), port)
    dns = NodeDns(settings, services, slices, clock)
    for number in range(count):
        services._set(service(number))
    for number in range(100):
        services._set(service(number, headless=True))
        slices._set(slice_of(number))
    services._synced.set()
    slices._synced.set()
    running = asyncio.ensure_future(dns.run(asyncio.Event(), lambda: pipe.send(port)))
    version = 1
    while not running.done():
        await asyncio.sleep(1 / CHANGES_PER_SECOND)
        if changing:
            version += 1
            slices._set(slice_of(version % 100, str(version)))


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def echo(pipe):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    pipe.send(transport.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


def queries(count, services):
    random.seed(1)
    found = []
    while len(found) < count:
        name = (
            f"db-{random.randrange(100)}" if random.random() < 0.1 else f"web-{random.randrange(min(services, ASKED))}"
        )
        for full in (f"{name}.shop.default.svc.cluster.local", f"{name}.shop.svc.cluster.local"):
            found += [bytes(DNSRecord.question(full, kind).pack())[2:] for kind in ("A", "AAAA")]
    return found[:count]


class Client(asyncio.DatagramProtocol):
    def __init__(self, messages, at_once):
        self.messages, self.at_once = messages, at_once
        self.sent, self.latencies, self.began = 0, [], {}
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        for _ in range(self.at_once):
            self.send()

    def send(self):
        if self.sent < len(self.messages):
            number = self.sent % 65536
            self.began[number] = time.perf_counter()
            self.transport.sendto(number.to_bytes(2, "big") + self.messages[self.sent])
            self.sent += 1

    def datagram_received(self, data, _address):
        self.latencies.append(time.perf_counter() - self.began.pop(int.from_bytes(data[:2], "big")))
        if len(self.latencies) == len(self.messages):
            self.finished.set_result(None)
        else:
            self.send()


async def measure(port, messages, at_once):
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        lambda: Client(messages, at_once), remote_addr=("127.0.0.1", port)
    )
    async with asyncio.timeout(300):
        await client.finished
    seconds = time.perf_counter() - began
    transport.close()
    found = sorted(client.latencies)
    return {
        "queriesPerSecond": round(len(found) / seconds),
        "p50Milliseconds": round(found[len(found) // 2] * 1000, 2),
        "p99Milliseconds": round(found[int(len(found) * 0.99)] * 1000, 2),
    }


def in_process(target, *arguments):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run, args=(target, theirs, *arguments), daemon=True)
    process.start()
    return process, ours.recv()


def run(target, *arguments):
    asyncio.run(target(*arguments))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=60_000)
    parser.add_argument("--at-once", type=int, default=64)
    options = parser.parse_args()
    messages = queries(options.queries, options.services)
    results = {}
    for name, target, arguments in (
        ("quiet", serve, (options.services, False)),
        ("changing", serve, (options.services, True)),
        ("echo", echo, ()),
    ):
        process, port = in_process(target, *arguments)
        try:
            results[name] = asyncio.run(measure(port, messages, options.at_once))
        finally:
            process.terminate()
            process.join()
        print(f"{name:10}", json.dumps(results[name]))
    ratio = results["quiet"]["queriesPerSecond"] / results["echo"]["queriesPerSecond"]
    print(f"quiet DNS reaches {ratio:.2f} of a bare echo's rate")


if __name__ == "__main__":
    main()
