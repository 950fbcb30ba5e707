"""The in-process cluster of `windlass.testing`: until ready, and 1,000 pods on hollow nodes until Running.

The first start in a process also imports Windlass; those after it are what each further test pays.
"""

import statistics
import tempfile
import time
from pathlib import Path

PODS, NODES, STARTS = 1000, 4, 10


def started(**options):
    """Start a cluster; return it and the seconds until it was ready, imports included."""
    begun = time.perf_counter()
    from windlass.testing.cluster import ClusterOptions, InProcessCluster

    cluster = InProcessCluster(Path(tempfile.mkdtemp(prefix="windlass-bench-")), ClusterOptions(**options)).start()
    return cluster, time.perf_counter() - begun


def deployment():
    labels = {"app": "bench"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "bench:1"}]}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bench"},
        "spec": {"replicas": PODS, "selector": {"matchLabels": labels}, "template": template},
    }  # fmt: skip


def main() -> None:
    times = []
    for _ in range(STARTS + 1):
        cluster, seconds = started()
        cluster.stop()
        times.append(seconds)
    print(f"first start, imports included: {times[0] * 1000:.0f} ms")
    print(f"ready: {statistics.median(times[1:]) * 1000:.0f} ms (at most {max(times[1:]) * 1000:.0f}); target 300 ms")
    cluster, _ = started(nodes=NODES, cpu="1000")
    begun = time.perf_counter()
    cluster.apply(deployment())
    cluster.wait_for("deployments", "bench", lambda it: it["status"].get("readyReplicas") == PODS, seconds=120)
    print(f"{PODS} pods from apply to Running on {NODES} nodes: {time.perf_counter() - begun:.1f} s; target 2 s")
    cluster.stop()


if __name__ == "__main__":
    main()
