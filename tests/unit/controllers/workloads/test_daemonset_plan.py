"""One pod per node: where it belongs, and how old ones give way to new ones."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.clock import rfc3339
from windlass_controllers.daemonset.nodes import daemon_tolerations, new_pod, node_of, node_verdict
from windlass_controllers.daemonset.plan import bounds, plan_daemons, plan_status, view_nodes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(minutes=5))}


def daemon_set(*, strategy=None, **template):
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default", "uid": "ds", "generation": 3},
        "spec": {
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c"}], **template}},
            "updateStrategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        },
    }


def node(name, *, taints=(), **labels):
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": list(taints)}}


def pod(name, where, *, revision="new", ready=True, phase="Running", deleted=False):
    metadata = {"name": name, "labels": {"controller-revision-hash": revision}, "creationTimestamp": f"t-{name}"}
    if deleted:
        metadata["deletionTimestamp"] = "t"
    return {
        "metadata": metadata,
        "spec": {"nodeName": where},
        "status": {"phase": phase, "conditions": [READY] if ready else []},
    }


def plan(made, nodes, pods):
    found = plan_daemons(made, view_nodes(made, nodes, pods), "new", NOW)
    return found.create, sorted(p["metadata"]["name"] for p in found.delete)


@pytest.mark.parametrize(
    ("template", "made", "expected"),
    [
        ({}, node("n"), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, node("n", disk="ssd"), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, node("n"), (False, False)),
        ({}, node("n", taints=[{"key": "a", "effect": "NoSchedule"}]), (False, True)),
        ({}, node("n", taints=[{"key": "a", "effect": "NoExecute"}]), (False, False)),
        ({}, node("n", taints=[{"key": "a", "effect": "PreferNoSchedule"}]), (True, True)),
        (
            {"tolerations": [{"operator": "Exists"}]},
            node("n", taints=[{"key": "a", "effect": "NoExecute"}]),
            (True, True),
        ),
        ({}, node("n", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]), (True, True)),
        ({}, node("n", taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]), (True, True)),
        (
            {},
            node("n", taints=[{"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}]),
            (False, True),
        ),
        ({"nodeName": "other"}, node("n"), (False, False)),
    ],
)
def test_node_verdict(template, made, expected):
    assert node_verdict(daemon_set(**template)["spec"]["template"]["spec"], made) == expected


def test_a_pod_is_tied_to_its_node_and_keeps_the_rest_of_its_affinity():
    made = new_pod(daemon_set(affinity={"podAffinity": {"x": 1}}), "n7", "new", "abcde")
    assert node_of(made) == "n7"
    assert made["spec"]["affinity"]["podAffinity"] == {"x": 1}
    assert made["spec"]["tolerations"] == daemon_tolerations({})
    assert made["metadata"]["labels"] == {"app": "agent", "controller-revision-hash": "new"}


def test_every_node_gets_one_and_doubles_go():
    nodes = [node("a"), node("b"), node("c")]
    pods = [pod("a1", "a"), pod("a2", "a"), pod("b1", "b")]
    assert plan(daemon_set(), nodes, pods) == (["c"], ["a2"])


def test_a_pod_that_is_ending_is_waited_for():
    assert plan(daemon_set(), [node("a")], [pod("a1", "a", deleted=True)]) == ([], [])


def test_a_failed_pod_goes_and_one_where_it_does_not_belong():
    nodes = [node("a"), node("b", taints=[{"key": "x", "effect": "NoExecute"}])]
    assert plan(daemon_set(), nodes, [pod("a1", "a", phase="Failed"), pod("b1", "b")]) == ([], ["a1", "b1"])


def test_a_rolling_update_keeps_all_but_one_available():
    nodes = [node(n) for n in "abc"]
    old = [pod(f"{n}1", n, revision="old") for n in "abc"]
    assert plan(daemon_set(), nodes, old) == ([], ["a1"])
    broken = [pod("a1", "a", revision="old", ready=False), *old[1:]]
    assert plan(daemon_set(), nodes, broken) == ([], ["a1"])


def test_on_delete_touches_nothing_old():
    made = daemon_set(strategy={"type": "OnDelete"})
    assert plan(made, [node("a"), node("b")], [pod("a1", "a", revision="old")]) == (["b"], [])


def test_a_surge_makes_the_new_pod_first():
    surge = daemon_set(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    nodes = [node("a"), node("b")]
    old = [pod(f"{n}1", n, revision="old") for n in "ab"]
    assert plan(surge, nodes, old) == (["a"], [])
    assert plan(surge, nodes, [*old, pod("a2", "a", ready=False)]) == ([], [])
    assert plan(surge, nodes, [*old, pod("a2", "a")]) == (["b"], ["a1"])


@pytest.mark.parametrize(
    ("rolling", "expected"),
    [({}, (1, 0)), ({"maxUnavailable": "10%"}, (1, 0)), ({"maxUnavailable": "30%"}, (3, 0)),
     ({"maxUnavailable": 0, "maxSurge": "25%"}, (0, 3))],
)  # fmt: skip
def test_bounds(rolling, expected):
    assert bounds(daemon_set(strategy={"type": "RollingUpdate", "rollingUpdate": rolling}), 10) == expected


def test_status_counts_nodes():
    nodes = [node("a"), node("b"), node("c", taints=[{"key": "x", "effect": "NoSchedule"}])]
    pods = [pod("a1", "a"), pod("b1", "b", revision="old", ready=False), pod("c1", "c")]
    status, again = plan_status(daemon_set(), view_nodes(daemon_set(), nodes, pods), "new", NOW)
    assert again is None
    assert status == {
        "currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 1, "numberReady": 1,
        "numberAvailable": 1, "numberUnavailable": 1, "updatedNumberScheduled": 1, "observedGeneration": 3,
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 3), st.booleans(),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["old", "new"]), st.booleans()), max_size=10),
)  # fmt: skip
def test_an_update_ends_with_one_new_pod_per_node_and_never_too_few(count, bound, surging, start):
    rolling = {"maxUnavailable": 0, "maxSurge": bound} if surging else {"maxUnavailable": bound, "maxSurge": 0}
    made = daemon_set(strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    nodes = [node(str(n)) for n in range(count)]
    pods = [pod(f"p{i}", str(n % count), revision=r, ready=ok) for i, (n, r, ok) in enumerate(start)]

    def of(p):
        return p["metadata"]["labels"]["controller-revision-hash"]

    def ready(p):
        return bool(p["status"]["conditions"])

    def available(found):
        return {p["spec"]["nodeName"] for p in found if ready(p)}

    serial = len(pods)
    for _ in range(4 * count + 10):
        found = plan_daemons(made, view_nodes(made, nodes, pods), "new", NOW)
        if not found.create and not found.delete and all(ready(p) or of(p) == "old" for p in pods):
            break
        before = available(pods)
        gone = {p["metadata"]["name"] for p in found.delete}
        pods = [p for p in pods if p["metadata"]["name"] not in gone]
        lost = before - available(pods)
        assert len(lost) <= (0 if surging else bound)
        pods = [
            pod(p["metadata"]["name"], p["spec"]["nodeName"], revision=of(p), ready=of(p) == "new" or ready(p))
            for p in pods
        ]
        for name in found.create:
            pods.append(pod(f"p{serial}", name, ready=False))
            serial += 1
    assert sorted(p["spec"]["nodeName"] for p in pods) == sorted(n["metadata"]["name"] for n in nodes)
    assert {p["metadata"]["labels"]["controller-revision-hash"] for p in pods} == {"new"}
