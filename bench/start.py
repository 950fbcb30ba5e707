"""50 pods on Docker, from apply to Running, and at rest, beside a Swarm service and a bare loop on the same daemon.

`BENCH_PODS=200` makes it 200. Targets: less time than Swarm, and >= 95% of what a bare loop of the Docker API reaches
for the same number of containers (a pod is two: its sandbox holds the network). In turns, the order reversed each round;
Swarm's tasks and the bare loop's containers have no network of their own, our pods have. At rest: the processor time and
memory of all our processes and the daemon's, without the shims that both have. No registry. Needs root, dockerd and
busybox-static. The daemon is private and removed afterwards.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from api import free_port
from footprint import cpu_seconds, memory_kib, processes

from windlass.cli.datadir import DataDir
from windlass.cli.ready import admin_context, fetch
from windlass.testing.dockerd import PrivateDockerd

REPLICAS = int(os.environ.get("BENCH_PODS", "50"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
DEADLINE_SECONDS = 300
SETTLE_SECONDS, MEASURE_SECONDS = 10, 20
BARE_THREADS = 4
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


@dataclass
class Results:
    """What one contender did, round by round."""

    starts: list[float] = field(default_factory=list)
    removals: list[float] = field(default_factory=list)
    rests: list[tuple[float, float]] = field(default_factory=list)


def resting(pids: list[int]) -> tuple[float, float]:
    """Let things settle; return the processor time of these processes as a share of a core, and their memory in MB."""
    time.sleep(SETTLE_SECONDS)
    before = sum(map(cpu_seconds, pids))
    time.sleep(MEASURE_SECONDS)
    share = (sum(map(cpu_seconds, pids)) - before) / MEASURE_SECONDS
    return share, sum(memory_kib(pid, "Pss") for pid in pids) / 1024


class Windlass:
    """A cluster of one node on the daemon."""

    def __init__(self, root: Path, port: int, daemon: PrivateDockerd) -> None:
        self.root, self.daemon = root, daemon
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

    def round(self, results: Results) -> None:
        """Start all, let them rest, remove them."""
        started = time.perf_counter()
        self.send("POST", DEPLOYMENTS, deployment())
        wait(lambda: sum(pod["status"].get("phase") == "Running" for pod in self.pods()) == REPLICAS)
        results.starts.append(time.perf_counter() - started)
        results.rests.append(resting([*processes(self.root), *daemons(self.daemon)]))
        self.send("DELETE", f"{DEPLOYMENTS}/bench")
        # The API forgets pods without a grace period at once: what counts is the containers.
        labelled = ["ps", "-aq", "--filter", "label=io.kubernetes.pod.name"]
        results.removals.append(wait(lambda: not self.pods() and not self.daemon.docker(*labelled).split()))


def daemons(daemon: PrivateDockerd) -> list[int]:
    """Return the daemon's own processes: dockerd and its containerd, not the shims."""
    return [pid for pid in processes(daemon.root) if b"containerd-shim" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def windlass(daemon: PrivateDockerd):
    """Start a cluster on a Docker daemon; remove it and all it made."""
    root, port = Path(tempfile.mkdtemp(prefix="windlass-bench-")), free_port()
    command = [sys.executable, "-m", "windlass.cli"]
    environment = {**os.environ, "DOCKER_HOST": daemon.endpoint}
    options = ["--port", str(port), "--node-name", "bench", "--runtime", "docker", "--max-pods", "250"]
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


def round_swarm(daemon: PrivateDockerd, results: Results) -> None:
    """Start a service of as many replicas, let it rest, remove it."""
    started = time.perf_counter()
    service = ["service", "create", "--detach", "--no-resolve-image", "--name", "bench", "--replicas", str(REPLICAS)]
    daemon.docker(*service, "--network", "host", "--stop-grace-period", "0s", "busybox:local", "sleep", "3600")
    running = ["service", "ps", "bench", "--filter", "desired-state=running", "--format", "{{.CurrentState}}"]
    wait(lambda: sum(line.startswith("Running") for line in daemon.docker(*running).splitlines()) == REPLICAS)
    results.starts.append(time.perf_counter() - started)
    results.rests.append(resting(daemons(daemon)))
    daemon.docker("service", "rm", "bench")
    results.removals.append(wait(lambda: not daemon.docker("ps", "-aq", "--filter", "name=bench.").split()))


def round_bare(daemon: PrivateDockerd, results: Results) -> None:
    """Create and start as many containers as the pods have, several at a time, by the API alone; remove them."""
    client = docker.APIClient(base_url=daemon.endpoint, timeout=120)
    made: list[str] = []

    def start(_: int) -> None:
        config = client.create_host_config(network_mode="none")
        made.append(client.create_container("busybox:local", ["sleep", "3600"], host_config=config)["Id"])
        client.start(made[-1])

    with ThreadPoolExecutor(BARE_THREADS) as threads:
        started = time.perf_counter()
        list(threads.map(start, range(2 * REPLICAS)))
        results.starts.append(time.perf_counter() - started)
        started = time.perf_counter()
        list(threads.map(lambda container: client.remove_container(container, force=True), made))
        results.removals.append(time.perf_counter() - started)
    client.close()


def report(name: str, results: Results) -> float:
    """Print a contender's medians; return the one of starting."""
    median, removal = statistics.median(results.starts), statistics.median(results.removals)
    spread = ", ".join(f"{start:.1f}" for start in results.starts)
    line = f"{name:<10}{median:6.1f} s to start {REPLICAS} ({spread}), {removal:.1f} s to remove"
    if results.rests:
        share, megabytes = (statistics.median(figures) for figures in zip(*results.rests, strict=True))
        line += f"; at rest {share:.2%} of a core, PSS {megabytes:.0f} MB, {megabytes * 1024 / REPLICAS:.0f} kB for each"
    print(line)
    return median


def main() -> None:
    """Measure all in turns on one daemon."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        sys.exit("root and dockerd are needed")
    ours, theirs, bare = Results(), Results(), Results()
    with PrivateDockerd.temporary() as daemon:
        daemon.import_busybox()
        daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", f"127.0.0.1:{free_port()}")
        try:
            with windlass(daemon) as cluster:
                for number in range(ROUNDS):
                    turns = [
                        lambda: cluster.round(ours),
                        lambda: round_swarm(daemon, theirs),
                        lambda: round_bare(daemon, bare),
                    ]
                    for turn in turns if number % 2 == 0 else reversed(turns):
                        turn()
        finally:
            daemon.docker("swarm", "leave", "--force")
    mine, swarm, loop = report("windlass", ours), report("swarm", theirs), report("bare loop", bare)
    print(f"ratio windlass/swarm {mine / swarm:.2f} (below 1 is quicker); {loop / mine:.0%} of the bare loop's rate")


if __name__ == "__main__":
    main()
