from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.clock import rfc3339
from windlass_controllers.pods import is_active
from windlass_controllers.replicaset.plan import new_pod, plan_replicas, plan_status, rank_for_deletion

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def replica_set(replicas, **spec):
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "rs", "generation": 2},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}},
                 "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}, **spec},
    }


def pod(name, *, node="n1", phase="Running", ready=60, restarts=0, cost=None, age=100, deleting=False):
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(seconds=ready or 0))}]
    metadata = {"name": name, "uid": name, "labels": {"a": "b"},
                "creationTimestamp": rfc3339(NOW - timedelta(seconds=age))}
    if cost is not None:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": str(cost)}
    if deleting:
        metadata["deletionTimestamp"] = rfc3339(NOW)
    return {
        "metadata": metadata,
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions if ready is not None else [],
                   "containerStatuses": [{"restartCount": restarts}]},
    }


pods = st.builds(
    pod,
    st.uuids().map(str),
    node=st.sampled_from(["", "n1", "n2"]),
    phase=st.sampled_from(["Pending", "Running", "Unknown", "Succeeded", "Failed"]),
    ready=st.none() | st.integers(0, 500),
    restarts=st.integers(0, 3),
    cost=st.none() | st.integers(-5, 5),
    age=st.integers(0, 500),
    deleting=st.booleans(),
)
pod_lists = st.lists(pods, max_size=12, unique_by=lambda p: p["metadata"]["uid"])


@given(st.integers(0, 15), pod_lists)
def test_a_plan_ends_at_exactly_the_wanted_number(replicas, owned):
    plan = plan_replicas(replica_set(replicas), owned, NOW)
    active = sum(map(is_active, owned))
    assert active + plan.create - len(plan.delete) == replicas
    assert not (plan.create and plan.delete)
    assert all(map(is_active, plan.delete))


@given(pod_lists)
def test_ranking_is_a_permutation_and_puts_unassigned_pods_first(owned):
    ranked = rank_for_deletion(owned, NOW)
    assert sorted(p["metadata"]["uid"] for p in ranked) == sorted(p["metadata"]["uid"] for p in owned)
    assigned = [bool(p["spec"].get("nodeName")) for p in ranked]
    assert assigned == sorted(assigned)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("x", node=""), pod("y")),
        (pod("x", phase="Pending"), pod("y")),
        (pod("x", ready=None), pod("y")),
        (pod("x", cost=-1), pod("y")),
        (pod("x", ready=1), pod("y", ready=50)),
        (pod("x", restarts=2), pod("y")),
        (pod("x", age=1), pod("y", age=50)),
    ],
)
def test_the_more_dispensable_goes_first(first, second):
    for owned in ([first, second], [second, first]):
        assert rank_for_deletion(owned, NOW)[0] is first


def test_a_doubled_up_node_loses_first():
    owned = [pod("a", node="n2"), pod("b"), pod("c")]
    assert rank_for_deletion(owned, NOW)[-1]["metadata"]["name"] == "a"


def test_at_most_500_at_a_time():
    assert plan_replicas(replica_set(2000), [], NOW).create == 500


def test_status_counts_availability_by_min_ready_seconds_and_says_when_to_look_again():
    owned = [pod("a", ready=100), pod("b", ready=10), pod("c", ready=None), pod("d", phase="Failed")]
    status, again = plan_status(replica_set(3, minReadySeconds=30), owned, NOW, None)
    assert status == {"replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 2, "availableReplicas": 1,
                      "observedGeneration": 2}
    assert again == 20


def test_a_refusal_is_a_condition_until_it_is_over():
    status, _ = plan_status(replica_set(1), [], NOW, ("FailedCreate", "no room"))
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"], condition["message"]) == ("ReplicaFailure", "True", "no room")
    after, _ = plan_status({**replica_set(1), "status": status}, [], NOW, None)
    assert "conditions" not in after


@given(st.text("abcdefgh-", min_size=1, max_size=253))
def test_pod_names_fit_and_name_their_owner(name):
    owner = replica_set(1)
    owner["metadata"]["name"] = name
    made = new_pod(owner, "abcde")
    assert len(made["metadata"]["name"]) <= 63
    assert made["metadata"]["name"].endswith("abcde")
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
