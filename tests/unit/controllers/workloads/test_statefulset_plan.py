"""Numbered pods: the order in which they come, go and change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.clock import rfc3339
from windlass_controllers.revisions import HASH_LABEL, hash_of, new_revision
from windlass_controllers.statefulset.identity import new_pod, ordinal_of
from windlass_controllers.statefulset.plan import Revisions, plan_pods, plan_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(minutes=5))}


def stateful(*, replicas=3, image="a:2", status=None, strategy=None, **spec):
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    rolling = strategy or {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default", "uid": "s", "generation": 2},
        "spec": {"replicas": replicas, "serviceName": "db", "template": template, "updateStrategy": rolling, **spec},
        "status": status or {},
    }


OLD, NEW = new_revision(stateful(image="a:1"), 1, 0), new_revision(stateful(), 2, 0)
SAME, MOVING = Revisions(NEW, NEW), Revisions(OLD, NEW)


def pod(ordinal, revision=NEW, *, ready=True, phase="Running", deleted=False):
    metadata = {"name": f"db-{ordinal}", "labels": {HASH_LABEL: hash_of(revision)}}
    if deleted:
        metadata["deletionTimestamp"] = "t"
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": [READY] if ready else []}}


def steps(made, pods, revisions=SAME):
    plan = plan_pods(made, pods, revisions, NOW)
    return [(n, r["revision"]) for n, r in plan.create], [p["metadata"]["name"] for p in plan.delete]


def test_one_after_another():
    assert steps(stateful(), []) == ([(0, 2)], [])
    assert steps(stateful(), [pod(0, ready=False)]) == ([], [])
    assert steps(stateful(), [pod(0)]) == ([(1, 2)], [])
    assert steps(stateful(), [pod(0), pod(2)]) == ([(1, 2)], [])


def test_all_at_once():
    """C140."""
    parallel = stateful(podManagementPolicy="Parallel")
    assert steps(parallel, []) == ([(0, 2), (1, 2), (2, 2)], [])
    none = stateful(replicas=0, podManagementPolicy="Parallel")
    assert steps(none, [pod(0, ready=False), pod(1), pod(2)]) == ([], ["db-2", "db-1", "db-0"])


def test_the_highest_goes_first_and_alone():
    assert steps(stateful(replicas=1), [pod(0), pod(1), pod(2)]) == ([], ["db-2"])
    assert steps(stateful(replicas=1), [pod(0), pod(1), pod(2, deleted=True)]) == ([], [])
    assert steps(stateful(replicas=1), [pod(0), pod(1, ready=False), pod(2)]) == ([], ["db-2"])


def test_a_failed_pod_is_made_anew():
    """C142."""
    assert steps(stateful(), [pod(0, phase="Failed"), pod(1), pod(2)]) == ([], ["db-0"])
    assert steps(stateful(), [pod(0, deleted=True), pod(1), pod(2)]) == ([], [])


def test_numbers_may_begin_elsewhere():
    assert steps(stateful(replicas=2, ordinals={"start": 5}), [pod(4)]) == ([(5, 2)], [])
    assert steps(stateful(replicas=1, ordinals={"start": 5}), [pod(5), pod(0)]) == ([], ["db-0"])


def test_an_update_goes_down_one_at_a_time():
    """C146."""
    old = [pod(n, OLD) for n in range(3)]
    assert steps(stateful(), old, MOVING) == ([], ["db-2"])
    assert steps(stateful(), [*old[:2], pod(2, ready=False)], MOVING) == ([], [])
    assert steps(stateful(), [*old[:2], pod(2)], MOVING) == ([], ["db-1"])


def test_a_partition_holds_it_up_and_keeps_the_old_template_below():
    """C145."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    held = stateful(strategy=rolling, status={"currentReplicas": 2})
    assert steps(held, [pod(0, OLD), pod(1, OLD), pod(2)], MOVING) == ([], [])
    assert steps(held, [pod(0, OLD), pod(2)], MOVING) == ([(1, 1)], [])
    assert steps(held, [pod(0, OLD), pod(1, OLD)], MOVING) == ([(2, 2)], [])


def test_more_may_be_missing():
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    assert steps(stateful(strategy=rolling), [pod(n, OLD) for n in range(3)], MOVING) == ([], ["db-2", "db-1"])


def test_on_delete_waits_for_others():
    made = stateful(strategy={"type": "OnDelete"})
    assert steps(made, [pod(n, OLD) for n in range(3)], MOVING) == ([], [])
    assert steps(made, [pod(0, OLD), pod(1, OLD)], MOVING) == ([(2, 2)], [])


def test_the_pod():
    made = new_pod(stateful(), 1, NEW)
    assert made["metadata"]["name"] == made["spec"]["hostname"] == "db-1"
    assert made["spec"]["subdomain"] == "db"
    assert made["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    assert made["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-1"


@pytest.mark.parametrize(
    ("name", "expected"), [("db-0", 0), ("db-12", 12), ("db-01", None), ("db", None), ("web-1", None)]
)
def test_ordinal_of(name, expected):
    assert ordinal_of(stateful(), {"metadata": {"name": name}}) == expected


def test_status_and_the_end_of_an_update():
    half = plan_status(stateful(), [pod(0, OLD), pod(1), pod(2, ready=False)], MOVING, 0, NOW)
    assert {k: half[k] for k in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")} == {
        "replicas": 3, "readyReplicas": 2, "currentReplicas": 1, "updatedReplicas": 2,
    }  # fmt: skip
    assert half["currentRevision"] != half["updateRevision"]
    done = plan_status(stateful(), [pod(n) for n in range(3)], MOVING, 0, NOW)
    assert done["currentRevision"] == done["updateRevision"] == NEW["metadata"]["name"]
    assert done["currentReplicas"] == 3


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 5), st.booleans(), st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.booleans()), max_size=6)
)
def test_it_comes_to_rest_with_exactly_its_numbers(replicas, parallel, start):
    policy = "Parallel" if parallel else "OrderedReady"
    made = stateful(replicas=replicas, podManagementPolicy=policy)
    pods = {n: pod(n, OLD if old else NEW, ready=ready) for n, old, ready in start}
    for _ in range(60):
        plan = plan_pods(made, list(pods.values()), MOVING, NOW)
        if not parallel:
            assert len(plan.create) + len(plan.delete) <= 1
        for gone in plan.delete:
            del pods[ordinal_of(made, gone)]
        pods = {n: pod(n, NEW if p["metadata"]["labels"][HASH_LABEL] == hash_of(NEW) else OLD) for n, p in pods.items()}
        for n, revision in plan.create:
            pods[n] = pod(n, revision, ready=False)
    assert sorted(pods) == list(range(replicas))
    assert all(p["metadata"]["labels"][HASH_LABEL] == hash_of(NEW) for p in pods.values())
