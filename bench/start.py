"""50 pods on Docker, from apply to Running, beside a Swarm service of 50 replicas on the same daemon; no registry.

Target: no more time than Swarm. Both in turns (A B B A); Swarm's tasks have no network of their own, ours have. Needs
root, dockerd and busybox-static. The daemon is private and removed afterwards.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from api import free_port

from windlass.cli.datadir import DataDir
from windlass.cli.ready import admin_context, fetch
from windlass.testing.dockerd import PrivateDockerd

REPLICAS = 50
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
DEADLINE_SECONDS = 120
POLL_SECONDS = 0.1
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dbench"


def deployment():
    container = {"name": "main", "image": "busybox:local", "command": ["sleep", "3600"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bench"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": "bench"}},
            "template": {"metadata": {"labels": {"app": "bench"}}, "spec": spec},
        },
    }


def wait(condition) -> float:
    """Poll until it holds; return seconds."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > DEADLINE_SECONDS:
            raise RuntimeError(f"not within {DEADLINE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - started


class Windlass:
    """A cluster of one node on the daemon."""

    def __init__(self, root: Path, port: int, daemon: PrivateDockerd) -> None:
        self.daemon = daemon
        self.server = f"https://127.0.0.1:{port}"
        self.context = admin_context(DataDir(root))

    def send(self, method: str, path: str, body=None) -> None:
        import urllib.request

        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.server + path, data, {"Content-Type": "application/json"}, method=method)
        urllib.request.urlopen(request, context=self.context, timeout=30).close()

    def pods(self) -> list:
        code, body = fetch(self.server, PODS, self.context)
        return json.loads(body)["items"] if code == 200 else []

    def round(self) -> tuple[float, float]:
        """Return seconds to start all, and to remove them."""
        started = time.perf_counter()
        self.send("POST", DEPLOYMENTS, deployment())
        wait(lambda: sum(pod["status"].get("phase") == "Running" for pod in self.pods()) == REPLICAS)
        running = time.perf_counter() - started
        self.send("DELETE", f"{DEPLOYMENTS}/bench")
        # The API forgets pods without a grace period at once: what counts is the containers.
        labelled = ["ps", "-aq", "--filter", "label=io.kubernetes.pod.name"]
        return running, wait(lambda: not self.pods() and not self.daemon.docker(*labelled).split())


@contextmanager
def windlass(daemon: PrivateDockerd):
    """Start a cluster on a Docker daemon; remove it and all it made."""
    root, port = Path(tempfile.mkdtemp(prefix="windlass-bench-")), free_port()
    command = [sys.executable, "-m", "windlass.cli"]
    environment = {**os.environ, "DOCKER_HOST": daemon.endpoint}
    options = ["--port", str(port), "--node-name", "bench", "--runtime", "docker"]
    try:
        subprocess.run(
            [*command, "up", "--data-dir", root, *options], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        yield Windlass(root, port, daemon)
    finally:
        subprocess.run(
            [*command, "down", "--purge", "--data-dir", root], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        shutil.rmtree(root, ignore_errors=True)


def round_swarm(daemon: PrivateDockerd) -> tuple[float, float]:
    """Return seconds to start a service of as many replicas, and to remove it."""
    started = time.perf_counter()
    service = ["service", "create", "--detach", "--no-resolve-image", "--name", "bench", "--replicas", str(REPLICAS)]
    daemon.docker(*service, "--network", "host", "--stop-grace-period", "0s", "busybox:local", "sleep", "3600")
    running = ["service", "ps", "bench", "--filter", "desired-state=running", "--format", "{{.CurrentState}}"]
    wait(lambda: sum(line.startswith("Running") for line in daemon.docker(*running).splitlines()) == REPLICAS)
    elapsed = time.perf_counter() - started
    daemon.docker("service", "rm", "bench")
    return elapsed, wait(lambda: not daemon.docker("ps", "-aq", "--filter", "name=bench.").split())


def report(name: str, rounds: list[tuple[float, float]]) -> float:
    starts = [start for start, _ in rounds]
    removal = statistics.median(removed for _, removed in rounds)
    median = statistics.median(starts)
    spread = ", ".join(f"{start:.1f}" for start in starts)
    print(f"{name:<10}{median:6.1f} s to start {REPLICAS} ({spread}), {removal:.1f} s to remove")
    return median


def main() -> None:
    """Measure both in turns on one daemon."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        sys.exit("root and dockerd are needed")
    ours, theirs = [], []
    with PrivateDockerd.temporary() as daemon:
        daemon.import_busybox()
        daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", f"127.0.0.1:{free_port()}")
        try:
            with windlass(daemon) as cluster:
                for number in range(ROUNDS):
                    turns = [(ours, cluster.round), (theirs, lambda: round_swarm(daemon))]
                    for results, turn in turns if number % 2 == 0 else reversed(turns):
                        results.append(turn())
        finally:
            daemon.docker("swarm", "leave", "--force")
    mine, swarm = report("windlass", ours), report("swarm", theirs)
    print(f"ratio windlass/swarm {mine / swarm:.2f} (below 1 is quicker)")


if __name__ == "__main__":
    main()
