"""The API, one worker, TLS, authentication and validation on: GET one object, durable create. Beside it etcd, the same bytes.

Targets: GET >= 8,000/s; create >= 2,000/s (SQLite) at 64 clients; p99 < 50 ms.
"""

import base64
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
GETS, CREATES = 20_000, 6_000
BODY = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "@N@", "namespace": "default", "labels": {"app": "bench", "tier": "front"}},
    "data": {"payload": "x" * 560},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def load(**job):
    done = subprocess.run(
        [sys.executable, HERE / "load.py"],
        input=json.dumps(job),
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


@contextmanager
def windlass(store: str, state: Path | None = None):
    """An API server alone, in a data directory of its own; `state` is moved there as its SQLite file."""
    root = Path(tempfile.mkdtemp(prefix="windlass-bench-"))
    port = free_port()
    from windlass.cli.cluster import Cluster, issue_identities
    from windlass.cli.datadir import DataDir

    data_dir = DataDir(root)
    data_dir.prepare()
    if state is not None:
        shutil.move(state, root / "state.db")
    issue_identities(data_dir, Cluster(store, "hollow", port, "bench", "127.0.0.1", "10.244.0.0/24"))
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "windlass.cli",
                "apiserver",
                "--data-dir",
                root,
                "--store",
                store,
                "--bind",
                f"127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        from windlass.cli.ready import admin_context, fetch

        context = admin_context(data_dir)
        deadline = time.monotonic() + 30
        while fetch(f"https://127.0.0.1:{port}", "/readyz", context)[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((root / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield {
            "host": "127.0.0.1",
            "port": port,
            "ca": str(root / "pki/ca.crt"),
            "cert": str(root / "pki/admin.crt"),
            "key": str(root / "pki/admin.key"),
        }
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def etcd():
    """etcd from Debian (etcd-server) with fsync on; its JSON gateway, no TLS, no authentication: in its favour."""
    root = tempfile.mkdtemp(prefix="etcd-bench-")
    client, peer = free_port(), free_port()
    process = subprocess.Popen(
        [
            "etcd",
            "--data-dir",
            root,
            "--listen-client-urls",
            f"http://127.0.0.1:{client}",
            "--advertise-client-urls",
            f"http://127.0.0.1:{client}",
            "--listen-peer-urls",
            f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls",
            f"http://127.0.0.1:{peer}",
            "--initial-cluster",
            f"default=http://127.0.0.1:{peer}",
            "--logger",
            "zap",
            "--log-level",
            "error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", client), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield {"host": "127.0.0.1", "port": client}
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(root, ignore_errors=True)


def rounds_windlass(server, round_number):
    path = "/api/v1/namespaces/default/configmaps"
    create = load(
        **server, method="POST", path=path, body=json.dumps(BODY), prefix=f"r{round_number}-", count=CREATES, clients=64
    )
    get = load(**server, method="GET", path=f"{path}/r{round_number}-1", count=GETS, clients=64)
    return create, get


def rounds_etcd(server, round_number):
    value = base64.b64encode(json.dumps(BODY).encode()).decode()
    put = load(
        **server,
        method="POST",
        path="/v3/kv/put",
        body=json.dumps({"key": "@K@", "value": value}),
        base64_key=True,
        prefix=f"r{round_number}-",
        count=CREATES,
        clients=64,
    )
    key = base64.b64encode(f"r{round_number}-1".encode()).decode()
    get = load(**server, method="POST", path="/v3/kv/range", body=json.dumps({"key": key}), count=GETS, clients=64)
    return put, get


def report(name, figures):
    rates = [figure["rate"] for figure in figures]
    p99 = statistics.median(figure["p99_ms"] for figure in figures)
    failures = sum(figure["failures"] for figure in figures)
    print(
        f"{name:<28}{statistics.median(rates):>9,.0f}/s  (min {min(rates):,.0f} max {max(rates):,.0f})  p99 {p99:6.1f} ms"
        f"  failures {failures:.0f}"
    )
    return statistics.median(rates)


def main(store: str = "sqlite") -> None:
    """Interleave both servers, round by round, and print medians and ratios."""
    ours, theirs = [], []
    peer = shutil.which("etcd") is not None
    with windlass(store) as server:
        if peer:
            with etcd() as other:
                for number in range(ROUNDS):
                    ours.append(rounds_windlass(server, number))
                    theirs.append(rounds_etcd(other, number))
        else:
            print("etcd is not installed (Debian: etcd-server): no peer in this run")
            ours = [rounds_windlass(server, number) for number in range(ROUNDS)]
    create = report(f"windlass create ({store.split(':', maxsplit=1)[0]})", [pair[0] for pair in ours])
    get = report("windlass GET", [pair[1] for pair in ours])
    if peer:
        put, read = report("etcd put", [pair[0] for pair in theirs]), report("etcd range", [pair[1] for pair in theirs])
        print(f"ratio create/put {create / put:.2f}, GET/range {get / read:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
