"""ReplicationControllers as kubectl's users know them, with pods pretended."""

import json
import re

import pytest

TEMPLATE = {"metadata": {"labels": {"app": "rc"}}, "spec": {
    "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "busybox:local"}],
}}  # fmt: skip


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, **options: hollow_cluster.kubectl("-n", namespace, *arguments, **options)


@pytest.fixture
def controller(kubectl):
    body = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"},
            "spec": {"replicas": 2, "template": TEMPLATE}}  # fmt: skip
    kubectl("create", "-f", "-", text=json.dumps(body))
    kubectl("wait", "rc/rc", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s")
    return "rc/rc"


def test_shown_scaled_exposed_and_deleted(hollow_cluster, kubectl, namespace, controller):
    """C161."""
    assert re.search(r"NAME +DESIRED +CURRENT +READY +AGE\nrc +2 +2 +2 ", kubectl("get", "rc"))
    described = kubectl("describe", controller)
    for expected in ("Name:         rc", "Selector:     app=rc", "Replicas:     2 current / 2 desired", "busybox:local",
                     "2 Running / 0 Waiting", "SuccessfulCreate"):  # fmt: skip
        assert expected in described
    assert "scaled" in kubectl("scale", controller, "--current-replicas=2", "--replicas=3")
    kubectl("wait", controller, "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")
    kubectl("expose", controller, "--port=80")
    assert kubectl("get", "service", "rc", "-o", "jsonpath={.spec.selector}") == '{"app":"rc"}'
    kubectl("delete", controller)
    hollow_cluster.wait(lambda: kubectl("get", "pods", "-o", "name") == "")


def test_cluster_info_dump(kubectl, namespace, controller):
    dump = kubectl("cluster-info", "dump", "--namespaces", namespace)
    for expected in ('"kind": "ReplicationControllerList"', '"kind": "NodeList"', "==== START logs for container main"):
        assert expected in dump
