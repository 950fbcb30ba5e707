"""Why a pod is pending, in kube-scheduler's words; each built-in filter by example."""

import pytest


def test_reasons_are_counted_and_sorted(build):
    """C310: the message that `kubectl describe pod` shows."""
    core = build.core([build.node("n0", taints=[("key", "value", "NoSchedule")]), build.node("n1"), build.node("n2")])
    message = core.place(build.pod("p", requests={"cpu": "5"}))
    assert message == "0/3 nodes are available: 1 node(s) had untolerated taint {key: value}, 2 Insufficient cpu."


def test_one_node_counts_for_every_resource_that_lacks(build):
    core = build.core([build.node("n0", pods="0"), build.node("n1")])
    message = core.place(build.pod("p", requests={"cpu": "5", "memory": "9Gi", "example.com/gpu": "1"}))
    assert message == (
        "0/2 nodes are available: "
        "1 Too many pods, 2 Insufficient cpu, 2 Insufficient example.com/gpu, 2 Insufficient memory."
    )


def test_without_nodes(build):
    assert build.core().place(build.pod("p")) == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("node", "pod", "reason"),
    [
        ({"unschedulable": True}, {}, "node(s) were unschedulable"),
        ({"taints": [("a", "", "NoExecute")]}, {}, "node(s) had untolerated taint {a: }"),
        ({}, {"nodeSelector": {"disk": "ssd"}}, "node(s) didn't match Pod's node affinity/selector"),
        ({"memory": "1Gi"}, {"requests": {"memory": "2Gi"}}, "Insufficient memory"),
        ({"ephemeral_storage": "1Gi"}, {"requests": {"ephemeral-storage": "2Gi"}}, "Insufficient ephemeral-storage"),
        ({"pods": "0"}, {}, "Too many pods"),
    ],
)
def test_each_reason(build, node, pod, reason):
    core = build.core([build.node("n0", **node)])
    assert core.place(build.pod("p", **pod)) == f"0/1 nodes are available: 1 {reason}."


def test_the_first_untolerated_taint_of_a_node_is_named(build):
    taints = [("tolerated", "", "NoSchedule"), ("second", "x", "NoSchedule"), ("third", "", "NoSchedule")]
    core = build.core([build.node("n0", taints=taints)])
    message = core.place(build.pod("p", tolerations=[{"key": "tolerated", "operator": "Exists"}]))
    assert message == "0/1 nodes are available: 1 node(s) had untolerated taint {second: x}."


@pytest.mark.parametrize(
    ("held", "wanted", "clash"),
    [
        (("0.0.0.0", "TCP", 80), ("127.0.0.2", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("0.0.0.0", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("127.0.0.2", "TCP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "TCP", 81), False),
        (("127.0.0.1", "TCP", 80), ("127.0.0.1", "TCP", 80), True),
    ],
)
def test_host_ports(build, held, wanted, clash):
    """C313: 0.0.0.0 claims the port on every address; protocols do not clash."""
    core = build.core([build.node("n0")])
    core.add(build.pod("holder", ports=[held]), "n0")
    expected = (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports." if clash else "n0"
    )
    assert core.place(build.pod("p", ports=[wanted])) == expected


def test_host_ports_within_a_batch(build):
    """The imagined second pod of the class holds the same port."""
    core = build.core([build.node(f"n{index}") for index in range(3)])
    places = [core.place(build.pod(f"p{index}", ports=[("0.0.0.0", "TCP", 80)]), 20 - index) for index in range(4)]
    assert sorted(places[:3]) == ["n0", "n1", "n2"]
    assert places[3].startswith("0/3 nodes are available: 3 node(s) didn't have free ports")


def test_node_selector(build):
    """C311: the pod goes to the one node that has the label."""
    core = build.core([build.node(f"n{index}", labels={"x": "y"} if index == 7 else {}) for index in range(20)])
    assert core.place(build.pod("p", nodeSelector={"x": "y"})) == "n7"


def test_one_owners_pods_spread(build):
    core = build.core([build.node(f"n{index}") for index in range(5)])
    places = [core.place(build.pod(f"p{index}", owner="rs"), 10 - index) for index in range(5)]
    assert sorted(places) == [f"n{index}" for index in range(5)]


def test_soft_taints_are_avoided_not_refused(build):
    core = build.core([build.node("soft", taints=[("t", "", "PreferNoSchedule")]), build.node("clean", cpu="1")])
    assert core.place(build.pod("p", requests={"cpu": "500m"})) == "clean"
    assert core.place(build.pod("q", requests={"cpu": "3"})) == "soft"


def test_hosts_network_claims_container_ports(build):
    core = build.core([build.node("n0")])
    core.add(build.pod("holder", ports=[("0.0.0.0", "TCP", 80)]), "n0")
    pod = build.pod("p", hostNetwork=True)
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    assert "free ports" in core.place(pod)
