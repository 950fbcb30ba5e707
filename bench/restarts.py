"""What fifty probed pods on Docker cost their agent at rest, and how soon a container that died runs again.

Targets: agent <= 3% of a core and <= 120 MB with liveness and readiness probes on fifty pods; death to restarted, p99
<= 150 ms beyond what the runtime itself takes to create and start a container (a bare loop in the same daemon).
Needs root and dockerd.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api import free_port
from footprint import cpu_seconds, memory_kib

from windlass.testing.dockerd import PrivateDockerd

PODS = 50
SETTLE_SECONDS, MEASURE_SECONDS = 15, 30
SCRIPT = "httpd -p 8080 -h /; while :; do sleep 1000; done"


def manifest(number: int) -> dict[str, Any]:
    """Return a pod with two HTTP probes."""
    probe = {"httpGet": {"path": "/etc/passwd", "port": 8080}, "periodSeconds": 10}
    main = {
        "name": "main",
        "image": "busybox:local",
        "command": ["sh", "-c", SCRIPT],
        "livenessProbe": probe,
        "readinessProbe": probe,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}"},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0},
    }


def bare_seconds(dockerd: PrivateDockerd, count: int = 20) -> float:
    """Return the median time that the daemon takes to create and start a container, by the clock of its events."""
    since = time.time()
    for number in range(count):
        dockerd.docker("run", "-d", "--network=none", f"--name=bare{number}", "busybox:local", "sleep", "1000")
    text = dockerd.docker("events", f"--since={since}", f"--until={time.time()}", "--format={{json .}}")
    times: dict[str, dict[str, int]] = {}
    for event in map(json.loads, text.splitlines()):
        times.setdefault(event["Actor"]["ID"], {})[event["Action"]] = event["timeNano"]
    # `create` is told at the end of the creation: what comes before it is measured from the outside.
    begun = time.perf_counter()
    for number in range(count):
        dockerd.docker("create", "--network=none", f"--name=made{number}", "busybox:local", "sleep", "1000")
    creation = (time.perf_counter() - begun) / count
    begun = time.perf_counter()
    for _ in range(count):
        dockerd.docker("version")
    command = (time.perf_counter() - begun) / count
    starts = sorted((t["start"] - t["create"]) / 1e9 for t in times.values() if {"start", "create"} <= t.keys())
    return starts[len(starts) // 2] + max(0.0, creation - command)


def restart_seconds(dockerd: PrivateDockerd) -> list[float]:
    """Kill each pod's container once; return how long after each death the next one started."""
    label = "label=io.kubernetes.container.name=main"
    found = []
    for container in dockerd.docker("ps", "-q", "--filter", label).split():
        since = time.time()
        dockerd.docker("kill", container)
        found.append(_died_to_started(dockerd, since, label))
    return sorted(found)


def _died_to_started(dockerd: PrivateDockerd, since: float, label: str) -> float:
    while True:
        text = dockerd.docker(
            "events", f"--since={since}", f"--until={time.time()}", "--format={{json .}}", "--filter", label
        )
        events = [json.loads(line) for line in text.splitlines()]
        died = [e["timeNano"] for e in events if e["Action"] == "die"]
        started = [e["timeNano"] for e in events if e["Action"] == "start"]
        if died and started:
            return (started[-1] - died[0]) / 1e9
        time.sleep(0.05)


def wait_ready(kubectl: Sequence[str], environment: dict[str, str]) -> None:
    """Wait until all pods are Ready."""
    subprocess.run(
        [*kubectl, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=300s"],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def measure(data_dir: Path, dockerd: PrivateDockerd, environment: dict[str, str]) -> None:
    """Run the pods, let them rest, measure, kill."""
    items = {"apiVersion": "v1", "kind": "List", "items": [manifest(n) for n in range(PODS)]}
    begun = time.perf_counter()
    subprocess.run(
        ["kubectl", "create", "-f", "-"], input=json.dumps(items).encode(), env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_ready(["kubectl"], environment)
    print(f"{PODS} probed pods Ready after {time.perf_counter() - begun:.1f} s")
    agent = int(json.loads((data_dir / "run/hostagent.json").read_text())["pid"])
    time.sleep(SETTLE_SECONDS)
    before = cpu_seconds(agent)
    time.sleep(MEASURE_SECONDS)
    cpu = (cpu_seconds(agent) - before) / MEASURE_SECONDS
    print(f"agent at rest: {cpu:.2%} of a core, RSS {memory_kib(agent, 'Rss') / 1024:.0f} MB")
    bare = bare_seconds(dockerd)
    times = restart_seconds(dockerd)
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
    print(
        f"death to restarted: p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms; bare create and start {bare * 1e3:.0f} ms; "
        f"beyond it p50 {(p50 - bare) * 1e3:.0f} ms, p99 {(p99 - bare) * 1e3:.0f} ms"
    )


def main() -> None:
    """Start a daemon and a cluster of our own, measure, leave nothing behind."""
    data_dir = Path(tempfile.mkdtemp(prefix="windlass-bench-")) / "data"
    windlass = [sys.executable, "-m", "windlass.cli"]
    with PrivateDockerd.temporary() as dockerd:
        dockerd.import_busybox()
        environment = {
            **os.environ,
            "DOCKER_HOST": dockerd.endpoint,
            "KUBECONFIG": str(data_dir / "admin.kubeconfig"),
        }
        options = ["--data-dir", str(data_dir), "--port", str(free_port()), "--node-name", "bench"]
        try:
            subprocess.run(
                [*windlass, "up", *options, "--runtime", "docker"], env=environment, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            measure(data_dir, dockerd, environment)
        finally:
            subprocess.run(
                [*windlass, "down", "--purge", "--data-dir", str(data_dir)], env=environment, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip


if __name__ == "__main__":
    main()
