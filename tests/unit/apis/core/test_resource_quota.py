import pytest


@pytest.fixture
def quotas(served):
    return served("v1", "ResourceQuota")


@pytest.mark.parametrize(
    "name",
    ["pods", "cpu", "requests.cpu", "limits.memory", "count/deployments.apps", "requests.nvidia.com/gpu",
     "services.nodeports", "gold.storageclass.storage.k8s.io/requests.storage", "hugepages-2Mi"],
)  # fmt: skip
def test_resources_that_a_quota_may_bound(quotas, name):
    assert quotas.problems(spec={"hard": {name: "3"}}) == []


@pytest.mark.parametrize(
    ("hard", "words"),
    [
        ({"apples": "1"}, "must be a standard resource for quota"),
        ({"pods": "500m"}, "must be an integer"),
        ({"cpu": "-1"}, "must be greater than or equal to 0"),
    ],
)
def test_those_that_it_may_not(quotas, hard, words):
    assert quotas.problems(spec={"hard": hard})[-1].endswith(words)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hard": {"pods": "1"}, "scopes": ["Odd"]}, "unsupported scope"),
        ({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}, "unsupported scope applied to resource"),
        ({"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}, "conflicting scopes"),
        ({"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}, "conflicting scopes"),
    ],
)
def test_scopes_that_make_no_sense(quotas, spec, words):
    assert quotas.problems(spec=spec)[-1].endswith(words)


@pytest.mark.parametrize(
    ("requirement", "field"),
    [
        ({"scopeName": "PriorityClass", "operator": "In"}, "values"),
        ({"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}, "values"),
        ({"scopeName": "PriorityClass", "operator": "Gt"}, "operator"),
        ({"scopeName": "Terminating", "operator": "DoesNotExist"}, "operator"),
        ({"scopeName": "Odd", "operator": "Exists"}, "scopeName"),
    ],
)
def test_scope_selectors_that_make_no_sense(quotas, requirement, field):
    spec = {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [requirement]}}
    assert quotas.problems(spec=spec)[0].startswith(f"spec.scopeSelector.matchExpressions.{field}: ")


def test_scopes_stay_and_the_systems_annotation_is_nobody_elses(quotas):
    pending = {"annotations": {"quota.windlass.dev/pending-charges": "{}"}}
    old = quotas.create(spec={"hard": {"pods": "1"}, "scopes": ["BestEffort"]}, metadata=pending)
    assert old["metadata"]["annotations"] == {}
    (problem,) = quotas.update_problems(old, spec={"hard": {"pods": "1"}, "scopes": ["NotBestEffort"]})
    assert problem.startswith("spec.scopes: ")
    old["metadata"]["annotations"] = pending["annotations"]
    new = quotas.update(old, spec={"hard": {"pods": "2"}, "scopes": ["BestEffort"]})
    assert new["metadata"]["annotations"] == pending["annotations"]


def test_the_table_shows_use_and_bounds(quotas):
    status = {"hard": {"pods": "3", "limits.cpu": "2"}, "used": {"pods": "1"}}
    row = quotas.row({"metadata": {"name": "q", "creationTimestamp": "2026-01-01T11:00:00Z"}, "status": status})
    assert (row["Request"], row["Limit"]) == ("pods: 1/3", "limits.cpu: 0/2")
