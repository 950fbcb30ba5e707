"""LIST of 100,000 pods over HTTP with a selector that hits 100, consistent; and what each costs in memory.

Targets: p99 <= 30 ms; memory <= 4 kB per object of 1 kB. Beside it etcd, which has no selectors: a client must read all
values and filter. The published line is Kubernetes' watch cache: 300,000 objects, p50 499 ms, p99 648 ms.
"""

import asyncio
import base64
import json
import statistics
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import api
from api import ROUNDS, etcd, load
from footprint import memory_kib

from windlass.cli.datadir import DataDir
from windlass.cli.ready import admin_context, fetch
from windlass.store.sqlite import SqliteStore

OBJECTS, HITS, REQUESTS = 100_000, 100, 300
WRITERS = 256
ETCD_BATCH, ETCD_PAGE = 100, 10_000
PODS = "/api/v1/namespaces/default/pods"
SELECTORS = {"label selector": "labelSelector=rare%3Dyes", "field selector": "fieldSelector=spec.nodeName%3Drare"}


def value(number: int) -> bytes:
    """Return a pod of about 1 kB as it is stored."""
    rare = number % (OBJECTS // HITS) == 0
    labels = {"app": f"app-{number % 500}", "tier": "front", "rare": "yes" if rare else "no"}
    metadata = {
        "name": f"pod-{number}",
        "namespace": "default",
        "uid": f"{number:08x}-1111-4222-8333-444455556666",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels,
        "annotations": {"note": "x" * 500},
    }
    container = {"name": "main", "image": "registry.local/app:1.0", "imagePullPolicy": "IfNotPresent", "resources": {}}
    spec = {
        "containers": [container],
        "restartPolicy": "Always",
        "nodeName": "rare" if rare else f"node-{number % 997}",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}
    return json.dumps(pod, separators=(",", ":")).encode()


async def fill(path: Path) -> int:
    """Write the objects straight into a store's file; return their size together."""
    store, numbers, size = SqliteStore(path), iter(range(OBJECTS)), 0
    await store.start()

    async def write():
        nonlocal size
        for number in numbers:
            encoded = value(number)
            size += len(encoded)
            await store.create(f"core/pods/default/pod-{number}", encoded)

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    await store.close()
    return size


@contextmanager
def filled():
    """An API server over the objects; yields it, its worker's memory in KiB per object, and the objects' mean size."""
    with api.windlass("sqlite") as server:
        empty = memory_kib(worker(server), "Rss")
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        path = Path(name) / "state.db"
        size = asyncio.run(fill(path))
        with api.windlass("sqlite", state=path) as server:
            yield server, (memory_kib(worker(server), "Rss") - empty) / OBJECTS, size / OBJECTS


def worker(server) -> int:
    """Return the process id of the API server's worker."""
    root = str(Path(server["ca"]).parent.parent).encode()
    ids = {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if root in read(path)}
    return next(pid for pid in ids if parent(pid) in ids)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def parent(pid: int) -> int:
    return int(read(Path(f"/proc/{pid}/stat")).rsplit(b")", 1)[1].split()[1])


def fill_etcd(server) -> None:
    for start in range(0, OBJECTS, ETCD_BATCH):
        puts = [
            {"request_put": {"key": encode(f"pods/{number:08}".encode()), "value": encode(value(number))}}
            for number in range(start, start + ETCD_BATCH)
        ]
        post(server, "/v3/kv/txn", {"success": puts})


def list_etcd(server) -> float:
    """Read everything, page by page, and filter; return seconds. Only what a fast client must do is done: no parsing."""
    started, key, hits = time.perf_counter(), b"pods/", 0
    while True:
        page = post(server, "/v3/kv/range", {"key": encode(key), "range_end": encode(b"pods0"), "limit": ETCD_PAGE})
        hits += sum(b'"rare":"yes"' in base64.b64decode(item["value"]) for item in page["kvs"])
        if not page.get("more"):
            break
        key = base64.b64decode(page["kvs"][-1]["key"]) + b"\0"
    assert hits == HITS
    return time.perf_counter() - started


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def post(server, path, body):
    url = f"http://{server['host']}:{server['port']}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=60) as answer:
        return json.load(answer)


def check_hits(server, selector) -> None:
    """Make sure that what is measured is the answer: all that the selector hits."""
    context = admin_context(DataDir(Path(server["ca"]).parent.parent))
    _, body = fetch(f"https://{server['host']}:{server['port']}", f"{PODS}?{selector}", context)
    assert len(json.loads(body)["items"]) == HITS


def main() -> None:
    """Fill both, then measure in turns."""
    import shutil

    peer = shutil.which("etcd") is not None
    found, theirs = {name: [] for name in SELECTORS}, []
    with filled() as (server, per_object, size), etcd() if peer else contextmanager(lambda: iter([None]))() as other:
        if peer:
            fill_etcd(other)
        for selector in SELECTORS.values():
            check_hits(server, selector)
        for _ in range(ROUNDS):
            for name, selector in SELECTORS.items():
                figures = load(**server, method="GET", path=f"{PODS}?{selector}", count=REQUESTS, clients=1)
                found[name].append(figures)
            if peer:
                theirs.append(list_etcd(other))
    print(f"{OBJECTS:,} pods of {size:,.0f} bytes: {per_object * 1024:,.0f} bytes of memory each")
    for name, rounds in found.items():
        p50, p99 = (statistics.median(figures[key] for figures in rounds) for key in ("p50_ms", "p99_ms"))
        failures = sum(figures["failures"] for figures in rounds)
        ratio = f"; etcd's full read takes {statistics.median(theirs) * 1000 / p50:,.0f} times as long" if peer else ""
        print(f"LIST with {name}, {HITS} hits: p50 {p50:.1f} ms, p99 {p99:.1f} ms, failures {failures}{ratio}")


if __name__ == "__main__":
    main()
