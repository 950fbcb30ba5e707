"""The Summary: rates, sums, and what is left out."""

from windlass.plugin.interfaces.runtime import ContainerStats
from windlass_hostagent.pods.observation import LABEL_UID
from windlass_hostagent.stats.sample import FilesystemSample, MemorySample, NodeSample, parse_cpu, parse_tasks
from windlass_hostagent.stats.summary import build_summary, nano_cores

FS = FilesystemSample("/data", 1000, 400, 600, 100, 40)
PODS = {
    "u1": {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    }
}


def stats(name, at, cpu, memory, uid="u1"):
    return ContainerStats(
        f"id-{name}", name, {LABEL_UID: uid}, at, cpu, memory, memory - 1, memory - 2, rootfs_bytes=10, log_bytes=5
    )


def node(at, cpu, *containers):
    return NodeSample(at, cpu, MemorySample(100, 30), FS, FS, 50, 7, containers)


def test_rates_come_from_two_looks():
    before = node(100.0, 5_000_000_000, stats("a", 100.0, 1_000_000_000, 20), stats("b", 100.0, 0, 20))
    now = node(110.0, 15_000_000_000, stats("a", 110.0, 6_000_000_000, 30), stats("b", 110.0, 1_000_000_000, 10))
    summary = build_summary("n1", now, before, PODS, {"u1": [{"name": "scratch", "usedBytes": 100}]})
    assert summary["node"]["cpu"]["usageNanoCores"] == 1_000_000_000
    assert summary["node"]["memory"]["workingSetBytes"] == 70
    pod = summary["pods"][0]
    assert pod["podRef"] == {"name": "web", "namespace": "default", "uid": "u1"}
    assert pod["cpu"]["usageNanoCores"] == 600_000_000
    assert pod["memory"]["workingSetBytes"] == 38
    assert pod["ephemeral-storage"]["usedBytes"] == 2 * 15 + 100
    assert [c["name"] for c in pod["containers"]] == ["a", "b"]


def test_no_rate_without_an_earlier_look():
    summary = build_summary("n1", node(1.0, 1, stats("a", 1.0, 9, 9)), None, PODS, {})
    assert "usageNanoCores" not in summary["node"]["cpu"]
    assert "usageNanoCores" not in summary["pods"][0]["cpu"]
    assert summary["pods"][0]["cpu"]["usageCoreNanoSeconds"] == 9


def test_containers_of_unknown_pods_are_not_shown():
    assert build_summary("n1", node(1.0, 1, stats("a", 1.0, 9, 9, uid="gone")), None, PODS, {})["pods"] == []


def test_a_counter_that_went_back_gives_no_negative_rate():
    assert nano_cores(5, 10, 1.0) == 0
    assert nano_cores(10, 5, 0.0) == 0


def test_proc_files():
    assert parse_tasks("0.1 0.2 0.3 2/345 9999") == 345
    assert parse_cpu("cpu  10 20 30 1000 500 1 2 3 0 0\ncpu0 1 2 3\n") == (10 + 20 + 30 + 1 + 2 + 3) * 10_000_000
