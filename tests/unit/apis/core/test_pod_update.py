import copy

import pytest

from windlass.apis.core.v1.pod import KINDS

STRATEGY = KINDS[0].strategy


@pytest.fixture
def refused(make_pod):
    """Return what is wrong with an update made by `change` on a pod built from `spec`."""

    def find(change, spec=None):
        old = make_pod(spec)
        new = copy.deepcopy(old)
        change(new["spec"])
        STRATEGY.default(new)
        return [f"{error.field}: {error.message}" for error in STRATEGY.validate_update(new, old)]

    return find


def assign(**fields):
    return lambda spec: spec.update(fields)


def first_container(**fields):
    return lambda spec: spec["containers"][0].update(fields)


TOLERATION = {"key": "a", "operator": "Exists", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("change", "spec"),
    [
        (first_container(image="busybox:2"), None),
        (assign(activeDeadlineSeconds=5), None),
        (assign(activeDeadlineSeconds=5), {"activeDeadlineSeconds": 9}),
        (assign(tolerations=[TOLERATION]), None),
        (assign(tolerations=[{**TOLERATION, "tolerationSeconds": 9}]), {"tolerations": [TOLERATION]}),
        (assign(schedulingGates=[]), {"schedulingGates": [{"name": "wait"}]}),
        (
            assign(nodeSelector={"a": "b", "c": "d"}),
            {"schedulingGates": [{"name": "wait"}], "nodeSelector": {"a": "b"}},
        ),
    ],
)
def test_what_may_change(refused, change, spec):
    """C166: kubectl replace with another image updates the pod in place."""
    assert refused(change, spec) == []


@pytest.mark.parametrize(
    "change",
    [
        first_container(command=["sh"]),
        first_container(env=[{"name": "A"}]),
        first_container(name="other"),
        assign(restartPolicy="Never"),
        assign(nodeName="n1"),
        assign(nodeSelector={"a": "b"}),
        assign(hostname="h"),
        assign(terminationGracePeriodSeconds=5),
        assign(volumes=[{"name": "a"}]),
    ],
)
def test_what_may_not_change(refused, change):
    (found,) = refused(change)
    assert found.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`")


@pytest.mark.parametrize(
    ("change", "spec", "expected"),
    [
        (
            lambda spec: spec["containers"].append({"name": "b", "image": "c"}),
            None,
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (first_container(image=""), None, "spec.containers[0].image: Required value"),
        (
            assign(activeDeadlineSeconds=10),
            {"activeDeadlineSeconds": 9},
            "spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value",
        ),
        (
            assign(activeDeadlineSeconds=None),
            {"activeDeadlineSeconds": 9},
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        ),
        (
            assign(tolerations=[]),
            {"tolerations": [TOLERATION]},
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            assign(schedulingGates=[{"name": "new"}]),
            None,
            "spec.schedulingGates[0]: Forbidden: only deletion is allowed, but found new scheduling gate 'new'",
        ),
    ],
)
def test_changes_with_a_reason_of_their_own(refused, change, spec, expected):
    assert refused(change, spec) == [expected]


def test_an_update_keeps_the_status(make_pod):
    old = make_pod(status={"phase": "Running"})
    new = make_pod()
    STRATEGY.prepare_for_update(new, old)
    assert new["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    ("spec", "status", "requested", "expected"),
    [
        ({}, {}, None, 0),
        ({}, {}, 60, 0),
        ({"nodeName": "n1"}, {"phase": "Succeeded"}, 60, 0),
        ({"nodeName": "n1"}, {"phase": "Failed"}, None, 0),
        ({"nodeName": "n1"}, {"phase": "Running"}, None, 30),
        ({"nodeName": "n1", "terminationGracePeriodSeconds": 7}, {}, None, 7),
        ({"nodeName": "n1", "terminationGracePeriodSeconds": 0}, {}, None, 0),
        ({"nodeName": "n1"}, {}, 5, 5),
        ({"nodeName": "n1"}, {}, 0, 0),
        ({"nodeName": "n1"}, {}, -1, 1),
    ],
)
def test_grace_period(make_pod, spec, status, requested, expected):
    assert STRATEGY.grace_period_seconds(make_pod(spec, status=status), requested) == expected


def test_selectable_fields(make_pod):
    pod = make_pod(
        {"nodeName": "n1", "hostNetwork": True, "serviceAccountName": "robot"},
        status={"phase": "Running", "podIP": "10.0.0.1"},
    )
    assert STRATEGY.selectable_fields(pod) == {
        "spec.nodeName": "n1",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "robot",
        "spec.hostNetwork": "true",
        "status.phase": "Running",
        "status.podIP": "10.0.0.1",
        "status.nominatedNodeName": "",
    }
