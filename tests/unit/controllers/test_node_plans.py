from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.clock import rfc3339
from windlass_controllers.namespace.plan import Emptying, finalized, needs_emptying, plan_status
from windlass_controllers.nodelifecycle.plan import (
    EvictionLimiter,
    eviction_rate,
    needs_eviction,
    not_ready_pod,
    plan_silence,
    plan_taints,
    ready_status,
)
from windlass_controllers.podgc.plan import failed_status, is_orphaned, is_stuck_unscheduled
from windlass_controllers.tainteviction.plan import plan_eviction
from windlass_controllers.taints import NOT_READY, UNREACHABLE, UNSCHEDULABLE, is_tolerated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = rfc3339(NOW)


def node(ready="True", *, taints=(), unschedulable=False, **conditions):
    told = [{"type": "Ready", "status": ready, "lastTransitionTime": STAMP}] if ready else []
    told += [{"type": kind, "status": value, "lastTransitionTime": STAMP} for kind, value in conditions.items()]
    return {"metadata": {"name": "n"}, "spec": {"taints": list(taints), "unschedulable": unschedulable},
            "status": {"conditions": told}}


def ids(taints):
    return {(taint["key"], taint["effect"]) for taint in taints}


def test_a_silent_node_becomes_unknown_once():
    assert plan_silence(node(), 40, STAMP) is None
    conditions = plan_silence(node(), 41, STAMP)
    quiet = {"metadata": {}, "status": {"conditions": conditions}}
    assert ready_status(quiet) == "Unknown"
    assert conditions[0]["reason"] == "NodeStatusUnknown"
    assert plan_silence(quiet, 100, STAMP) is None


@pytest.mark.parametrize(
    ("observed", "may_evict", "expected"),
    [
        (node(), True, None),
        (node("False"), True, {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}),
        (node("Unknown"), True, {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}),
        (node("Unknown"), False, {(UNREACHABLE, "NoSchedule")}),
        (node(unschedulable=True), True, {(UNSCHEDULABLE, "NoSchedule")}),
        (node(MemoryPressure="True"), True, {("node.kubernetes.io/memory-pressure", "NoSchedule")}),
        (node(taints=[{"key": UNSCHEDULABLE, "effect": "NoSchedule"}]), True, set()),
        (node(taints=[{"key": NOT_READY, "effect": "NoExecute"}, {"key": "mine", "effect": "NoExecute"}]), True,
         {("mine", "NoExecute")}),
    ],
)
def test_taints_follow_conditions_and_cordon(observed, may_evict, expected):
    taints = plan_taints(observed, STAMP, may_evict=may_evict)
    assert (ids(taints) if taints is not None else None) == expected


@given(
    st.sampled_from(["True", "False", "Unknown"]),
    st.booleans(),
    st.booleans(),
    st.sets(st.tuples(st.sampled_from([NOT_READY, UNREACHABLE, UNSCHEDULABLE, "mine"]),
                      st.sampled_from(["NoSchedule", "NoExecute"]))),
)
def test_taints_settle_and_leave_others_alone(ready, unschedulable, may_evict, before):
    start = node(ready, taints=[{"key": k, "effect": e} for k, e in sorted(before)], unschedulable=unschedulable)
    taints = plan_taints(start, STAMP, may_evict=may_evict)
    after = taints if taints is not None else start["spec"]["taints"]
    assert {i for i in before if i[0] == "mine"} == {i for i in ids(after) if i[0] == "mine"}
    again = {**start, "spec": {**start["spec"], "taints": after}}
    assert plan_taints(again, STAMP, may_evict=may_evict) is None
    assert needs_eviction(again) <= (ready != "True")


def test_when_all_or_most_nodes_vanish_nobody_is_evicted():
    """R16: a slow store must not empty the cluster."""
    good, bad = node(), node("Unknown")
    assert eviction_rate([bad] * 3) == 0
    assert eviction_rate([good, bad]) > 0
    assert eviction_rate([good] * 4 + [bad] * 6) == 0
    assert eviction_rate([good] * 40 + [bad] * 60) == 0.01
    assert eviction_rate([]) == 0


def test_the_limiter_lets_one_through_then_waits():
    limiter = EvictionLimiter()
    assert limiter.may_evict(0.1, 100.0)
    assert not limiter.may_evict(0.1, 105.0)
    assert limiter.may_evict(0.1, 110.0)
    assert not limiter.may_evict(0.0, 500.0)


def pod(*tolerations, **metadata):
    return {"metadata": metadata, "spec": {"nodeName": "n", "tolerations": list(tolerations)}, "status": {}}


def taint(key, seconds_ago=0, effect="NoExecute", value=""):
    return {"key": key, "effect": effect, "value": value, "timeAdded": rfc3339(NOW - timedelta(seconds=seconds_ago))}


def tolerates(key, seconds=None, operator="Exists"):
    found = {"key": key, "operator": operator, "effect": "NoExecute"}
    return found if seconds is None else {**found, "tolerationSeconds": seconds}


@pytest.mark.parametrize(
    ("tolerations", "taints", "expected"),
    [
        ([], [], None),
        ([], [taint("a")], 0),
        ([], [taint("a", effect="NoSchedule")], None),
        ([tolerates("a")], [taint("a")], None),
        ([tolerates("a", 300)], [taint("a", 100)], 200),
        ([tolerates("a", 300)], [taint("a", 400)], 0),
        ([tolerates("a", 300), tolerates("b", 50)], [taint("a"), taint("b")], 50),
        ([tolerates("a", 300)], [taint("a"), taint("b")], 0),
        ([tolerates("a", -5)], [taint("a")], 0),
        ([{"operator": "Exists"}], [taint("a"), taint("b")], None),
    ],
)
def test_when_a_pod_leaves(tolerations, taints, expected):
    """C256: without the taint there is no deadline at all."""
    assert plan_eviction(pod(*tolerations), node(taints=taints), {}, NOW) == expected


def test_a_taint_without_a_time_counts_from_when_it_was_seen():
    bare = {"key": "a", "value": "x", "effect": "NoExecute"}
    seen = {("a", "x"): NOW - timedelta(seconds=10)}
    assert plan_eviction(pod(tolerates("a", 60)), node(taints=[bare]), seen, NOW) == 50


def test_a_pod_on_its_way_out_is_left_alone():
    assert plan_eviction(pod(deletionTimestamp=STAMP), node(taints=[taint("a")]), {}, NOW) is None


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({}, False),
        ({"key": "a", "value": "v"}, True),
        ({"key": "a", "value": "w"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, False),
    ],
)
def test_toleration(toleration, expected):
    assert is_tolerated({"key": "a", "value": "v", "effect": "NoExecute"}, toleration) is expected


def test_pods_of_a_silent_node_are_not_ready():
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": STAMP}]}}
    conditions = not_ready_pod(ready, STAMP)
    assert conditions[0]["status"] == "False"
    assert not_ready_pod({"status": {"conditions": conditions}}, STAMP) is None


def test_orphaned_and_stuck_pods():
    bound = pod()
    assert not is_orphaned(bound, None)
    assert not is_orphaned(bound, 39)
    assert is_orphaned(bound, 40)
    assert is_stuck_unscheduled({"metadata": {"deletionTimestamp": STAMP}, "spec": {}})
    assert not is_stuck_unscheduled({"metadata": {}, "spec": {}})
    assert failed_status(bound, STAMP)["phase"] == "Failed"
    assert failed_status({**bound, "status": {"phase": "Succeeded"}}, STAMP) == {"phase": "Succeeded"}


def test_a_namespace_says_what_holds_it_and_then_goes():
    namespace = {"metadata": {"name": "x", "deletionTimestamp": STAMP}, "spec": {"finalizers": ["kubernetes", "mine"]}}
    assert needs_emptying(namespace)
    found = Emptying()
    found.note("pods", [{"metadata": {"finalizers": ["f"]}}, {"metadata": {}}], 2)
    assert not found.is_empty
    conditions = {c["type"]: c for c in plan_status(namespace, found, STAMP)["conditions"]}
    assert conditions["NamespaceContentRemaining"]["status"] == "True"
    assert "pods has 2" in conditions["NamespaceContentRemaining"]["message"]
    assert "f in 1" in conditions["NamespaceFinalizersRemaining"]["message"]
    assert not Emptying(discovery_failures={"x/v1": "down"}).is_empty
    assert Emptying().is_empty
    after = finalized(namespace)
    assert after["spec"]["finalizers"] == ["mine"]
    assert not needs_emptying(after)
