"""ReplicaSets take in pods that match and let go those that no longer do, on a whole cluster."""

import json

import pytest

POD_SPEC = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "busybox:local"}]}


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, **options: hollow_cluster.kubectl("-n", namespace, *arguments, **options)


def test_a_matching_pod_is_adopted_and_a_strange_one_released(hollow_cluster, kubectl):
    """C130: the bare pod gets a controllerRef; when its label goes, the reference goes and another pod is made."""
    label = {"name": "adopted"}
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "labels": label}, "spec": POD_SPEC}
    kubectl("create", "-f", "-", text=json.dumps(bare))
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": label},
        "template": {"metadata": {"labels": label}, "spec": POD_SPEC},
    }
    body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs"}, "spec": spec}
    kubectl("create", "-f", "-", text=json.dumps(body))
    owners = lambda: json.loads(kubectl("get", "pod", "bare", "-o", "json"))["metadata"].get("ownerReferences", [])
    hollow_cluster.wait(
        lambda: [(one["kind"], one["name"], one["controller"]) for one in owners()] == [("ReplicaSet", "rs", True)]
    )
    assert kubectl("get", "pods", "-l", "name=adopted", "-o", "name").split() == ["pod/bare"]
    kubectl("label", "pod", "bare", "name=released", "--overwrite")
    hollow_cluster.wait(lambda: owners() == [])
    hollow_cluster.wait(lambda: len(kubectl("get", "pods", "-l", "name=adopted", "-o", "name").split()) == 1)


def test_scaled_and_patched(hollow_cluster, kubectl):
    """C128: one running pod, scaled to two by PATCH with status.replicas to match."""
    label = {"name": "scaled"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": label},
        "template": {"metadata": {"labels": label}, "spec": POD_SPEC},
    }
    body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs"}, "spec": spec}
    kubectl("create", "-f", "-", text=json.dumps(body))
    kubectl("wait", "rs/rs", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=60s")
    image = {"spec": {"containers": [{"name": "main", "image": "busybox:other"}]}}
    kubectl(
        "patch",
        "rs",
        "rs",
        "-p",
        json.dumps({"metadata": {"labels": {"p": "y"}}, "spec": {"replicas": 2, "template": image}}),
    )
    kubectl("wait", "rs/rs", "--for=jsonpath={.status.replicas}=2", "--timeout=60s")
    found = json.loads(kubectl("get", "rs", "rs", "-o", "json"))
    assert found["metadata"]["labels"] == {"p": "y"}
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox:other"
