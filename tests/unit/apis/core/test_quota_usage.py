"""What objects use of quotas, and which quotas count them."""

from datetime import UTC, datetime

import pytest

from windlass.apis.core.v1.quota_usage import CLAIMS, PODS, SERVICES, concerned, counts, missing, usage_of

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def pod(requests=None, limits=None, *, meta=None, status=None, **spec):
    container = {"name": "main", "resources": {"requests": requests or {}, "limits": limits or {}}}
    return {"metadata": {"name": "x", **(meta or {})}, "spec": {"containers": [container], **spec}, "status": status or {}}


def test_a_pod_uses_what_it_requests_and_is_limited_to():
    requests = {"cpu": "100m", "memory": "1Gi", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"}
    assert usage_of(PODS, pod(requests, {"cpu": "1"}), NOW) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "100m",
        "requests.cpu": "100m",
        "limits.cpu": "1",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "requests.example.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
    }


@pytest.mark.parametrize(
    "ended",
    [
        {"status": {"phase": "Succeeded"}},
        {"status": {"phase": "Failed"}},
        {"meta": {"deletionTimestamp": "2026-01-01T11:59:00Z", "deletionGracePeriodSeconds": 30}},
    ],
)
def test_an_ended_pod_is_only_an_object(ended):
    assert usage_of(PODS, pod({"cpu": "1"}, **ended), NOW) == {"count/pods": "1"}


def test_services_by_type():
    """C076."""
    ports = [{"port": 80}, {"port": 81, "nodePort": 30001}]
    plain = {"count/services": "1", "services": "1"}

    def used(**spec):
        return usage_of(SERVICES, {"spec": {"ports": ports, **spec}}, NOW)

    assert used(type="ClusterIP") == plain
    assert used(type="NodePort") == {**plain, "services.nodeports": "2"}
    balanced = {**plain, "services.loadbalancers": "1"}
    assert used(type="LoadBalancer") == {**balanced, "services.nodeports": "2"}
    assert used(type="LoadBalancer", allocateLoadBalancerNodePorts=False) == {**balanced, "services.nodeports": "1"}


def test_claims_count_for_their_class_too():
    claim = {"metadata": {}, "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "5Gi"}}}}
    assert usage_of(CLAIMS, claim, NOW) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "5Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "5Gi",
    }


def test_which_names_are_about_what():
    names = ["pods", "count/pods", "requests.storage", "configmaps", "count/configmaps", "count/deployments.apps",
             "requests.example.com/gpu", "gold.storageclass.storage.k8s.io/requests.storage", "services"]  # fmt: skip
    assert concerned(names, PODS) == {"pods", "count/pods", "requests.example.com/gpu"}
    assert concerned(names, CLAIMS) == {"requests.storage", "gold.storageclass.storage.k8s.io/requests.storage"}
    assert concerned(names, ("", "configmaps")) == {"configmaps", "count/configmaps"}
    assert concerned(names, ("apps", "deployments")) == {"count/deployments.apps"}
    assert concerned(["count/events"], ("", "events")) == set()


FAR = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaceSelector": {}}]}}


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("Terminating", pod(activeDeadlineSeconds=5), pod()),
        ("NotTerminating", pod(), pod(activeDeadlineSeconds=5)),
        ("BestEffort", pod(), pod({"cpu": "1"})),
        ("NotBestEffort", pod({"cpu": "1"}), pod()),
        ("PriorityClass", pod(priorityClassName="high"), pod()),
        ("CrossNamespacePodAffinity", pod(affinity=FAR), pod(affinity={"podAntiAffinity": {}})),
    ],
)
def test_scopes(scope, inside, outside):
    """C079, C080."""
    spec = {"scopes": [scope]}
    assert counts(spec, PODS, inside)
    assert not counts(spec, PODS, outside)
    assert not counts(spec, SERVICES, {"spec": {}})


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ["high"], ["high"]),
        ("NotIn", ["high"], ["", "low"]),
        ("Exists", [], ["high", "low"]),
        ("DoesNotExist", [], [""]),
    ],
)
def test_scope_selectors_by_priority_class(operator, values, chosen):
    requirement = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    spec = {"scopeSelector": {"matchExpressions": [requirement]}}
    assert [name for name in ("", "high", "low") if counts(spec, PODS, pod(priorityClassName=name))] == chosen


def test_what_a_bounded_pod_must_say():
    names = ["limits.cpu", "requests.memory", "pods", "requests.ephemeral-storage"]
    lacking = pod({"cpu": "1"}, initContainers=[{"name": "init"}])
    assert missing(names, PODS, lacking) == "must specify limits.cpu for: init,main; requests.memory for: init,main"
    assert missing(names, PODS, pod({"memory": "1Gi"}, {"cpu": "1"})) == ""
