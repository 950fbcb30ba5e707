"""Disruption budgets as kubectl's users know them, with pods pretended."""

import re
import subprocess

import pytest

DRAIN = ("drain", "node1", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--pod-selector=app=web")


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, **options: hollow_cluster.kubectl("-n", namespace, *arguments, **options)


@pytest.fixture
def web(kubectl, manifest, hollow_cluster):
    kubectl("apply", "-f", manifest(replicas=3))
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    yield "deployment/web"
    hollow_cluster.kubectl("uncordon", "node1")


def test_drain_waits_for_the_budget(hollow_cluster, namespace, kubectl, web):
    """C116, C118: refused while three of three are needed; when the budget is taken back, the drain goes on by itself."""
    kubectl("create", "pdb", "web", "--selector=app=web", "--min-available=100%")
    kubectl("wait", "pdb/web", "--for=jsonpath={.status.currentHealthy}=3", "--timeout=60s")
    assert re.search(
        r"NAME +MIN AVAILABLE +MAX UNAVAILABLE +ALLOWED DISRUPTIONS +AGE\nweb +100% +N/A +0 ", kubectl("get", "pdb")
    )
    described = kubectl("describe", "pdb", "web")
    for expected in ("Min available:  100%", "Allowed disruptions:  0", "Current:              3", "Total:                3"):
        assert expected in described
    drain = subprocess.Popen(("kubectl", *DRAIN, "--timeout=120s"), env=hollow_cluster.environment, stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, text=True)  # fmt: skip
    with drain:
        assert drain.stderr is not None
        lines = iter(drain.stderr.readline, "")
        refused = next(line for line in lines if "will retry after" in line)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in refused
        assert kubectl("get", "pods", "-l", "app=web", "-o", "name").count("pod/") == 3
        kubectl("patch", "pdb", "web", "-p", '{"spec":{"minAvailable":0}}')
        drain.stderr.read()
        assert drain.wait(timeout=120) == 0
    hollow_cluster.wait(lambda: "Running" not in kubectl("get", "pods", "-l", "app=web"))
