"""SchedulingBasic of kube-scheduler's scheduler_perf, decisions only: no API server, no binding.

5,000 nodes of 4 CPU / 32Gi / 110 pods, 1,000 pods already there, 10,000 measured pods of 100m / 500Mi. The peer's line
is published (test/integration/scheduler_perf, measured on larger hardware, with API server and etcd), not from this
machine; the machine's own limit is the cost of one scan of the node table for the best row.
"""

import argparse
import statistics
import time

import numpy as np

from windlass.clock import SystemClock
from windlass.scheduler.batch import BatchPlanner
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.diagnosis import Diagnosis
from windlass.scheduler.framework import Framework, load_plugins
from windlass.scheduler.podinfo import PodParser
from windlass.scheduler.queue import SchedulingQueue
from windlass_scheduler.registrations import REGISTRATIONS

PUBLISHED_FLOOR = 680


def node(index):
    amounts = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": f"node-{index}", "topology.kubernetes.io/zone": f"zone-{index % 3}"}
    return {"metadata": {"name": f"node-{index}", "labels": labels}, "spec": {}, "status": {"allocatable": amounts}}


def pod(index, template=0):
    requests = {"cpu": "100m", "memory": "500Mi"}
    return {
        "metadata": {
            "name": f"pod-{index}",
            "namespace": "default",
            "uid": f"uid-{index}",
            "labels": {"app": f"app-{template}"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "containers": [{"name": "pause", "image": "pause", "resources": {"requests": requests, "limits": requests}}]
        },
    }


def run(nodes, initial, measured, templates, batch_size):
    """Return seconds for taking in, and for deciding on, the measured pods."""
    table, framework = NodeTable(), Framework(load_plugins(REGISTRATIONS, {}))
    parser, planner = PodParser(framework.equivalence_keys()), BatchPlanner(framework, table)
    queue = SchedulingQueue(SystemClock(), framework.queue_sort, framework.pre_enqueue)
    for index in range(nodes):
        table.set_node(node(index))
    for index in range(initial):
        assert not isinstance(planner.place(parser.parse(pod(-index - 1)), initial - index - 1), Diagnosis)
    objects = [pod(index, index % templates) for index in range(measured)]
    start = time.perf_counter()
    for obj in objects:
        queue.add(parser.parse(obj))
    queued = time.perf_counter()
    placed = 0
    while batch := queue.pop_batch(batch_size):
        for index, item in enumerate(batch):
            assert not isinstance(planner.place(item.pod, len(batch) - index - 1), Diagnosis)
            queue.done(item)
            placed += 1
    decided = time.perf_counter()
    assert placed == measured
    assert (table.requested <= table.allocatable).all()
    return queued - start, decided - queued


def scan_rate(nodes):
    """Return how often per second the best of so many scores is found: the limit of any scan per decision."""
    scores = np.random.default_rng(0).random(nodes)
    start = time.perf_counter()
    for _ in range(20_000):
        scores.argmax()
    return 20_000 / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--initial", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=10000)
    parser.add_argument(
        "--templates", type=int, default=1, help="pod templates, interleaved: the worst case for batches"
    )
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = [
        run(options.nodes, options.initial, options.pods, options.templates, options.batch)
        for _ in range(options.rounds)
    ]
    rates = sorted(options.pods / decided for _, decided in rounds)
    both = statistics.median(options.pods / (queued + decided) for queued, decided in rounds)
    rate = statistics.median(rates)
    shape = f"{options.nodes}/{options.initial}/{options.pods}"
    print(f"SchedulingBasic {shape}, decisions only, {options.templates} template(s)")
    print(
        f"  decisions/s           {rate:>10,.0f}   (min {rates[0]:,.0f}, max {rates[-1]:,.0f}, {options.rounds} rounds)"
    )
    print(f"  with parse and queue  {both:>10,.0f}")
    print(
        f"  published floor       {PUBLISHED_FLOOR:>10,}   (kube-scheduler, published, larger hardware, whole API path)"
    )
    print(f"  ratio to published    {rate / PUBLISHED_FLOOR:>10.1f}")
    limit = scan_rate(options.nodes)
    print(f"  bare argmax scans/s   {limit:>10,.0f}   (this machine; decisions are {rate / limit:.0%} of it)")


if __name__ == "__main__":
    main()
