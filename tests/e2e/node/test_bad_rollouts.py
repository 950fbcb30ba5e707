"""A new version that cannot run does not replace the one that does."""

import json

import pytest

CODE = "hollow.windlass.dev/exec-exit-code.false"
FAILING = {"readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1}}
BROKEN = {"image": "nowhere:1", "imagePullPolicy": "Never"}


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, check=True: hollow_cluster.kubectl("-n", namespace, *arguments, check=check)


def available(kubectl):
    return json.loads(kubectl("get", "deployment", "web", "-o", "json"))["status"].get("availableReplicas", 0)


@pytest.mark.parametrize("change", [FAILING, BROKEN], ids=["failing-probe", "broken-image"])
def test_a_bad_rollout_stops_at_what_may_be_unavailable(hollow_cluster, namespace, kubectl, manifest, change):
    """P92: 75% stay available, the exit code tells, undo restores."""
    kubectl("apply", "-f", manifest(replicas=4))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    template = {"metadata": {"annotations": {CODE: "1"}}, "spec": {"containers": [{"name": "main", **change}]}}
    kubectl("patch", "deployment", "web", "-p", json.dumps({"spec": {"template": template}}))
    stuck = hollow_cluster.run(
        "kubectl", "-n", namespace, "rollout", "status", "deployment/web", "--timeout=5s", check=False
    )
    assert stuck.returncode != 0
    assert available(kubectl) >= 3
    status = json.loads(kubectl("get", "deployment", "web", "-o", "json"))["status"]
    assert status["updatedReplicas"] <= 2, "one may be too few, one too many: no more than two new ones"
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert available(kubectl) == 4
