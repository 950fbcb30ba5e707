"""Important pods push out lesser ones, on a whole cluster whose pods are pretended; a resource of our own is scarce."""

import json

import pytest

RESOURCE = "example.com/slots"
CLASSES = {"preempt-p1": 1, "preempt-p2": 2, "preempt-p3": 3, "preempt-p4": 4}


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, **options: hollow_cluster.kubectl("-n", namespace, *arguments, **options)


@pytest.fixture
def slots(hollow_cluster):
    """Set how many slots the node has; gone afterwards, with the priority classes."""

    def offer(count):
        path = "/status/capacity/example.com~1slots", "/status/allocatable/example.com~1slots"
        patch = [{"op": "add", "path": each, "value": str(count)} for each in path]
        hollow_cluster.kubectl("patch", "node", "node1", "--subresource=status", "--type=json", "-p", json.dumps(patch))
        for name, value in CLASSES.items():
            hollow_cluster.kubectl("create", "priorityclass", name, f"--value={value}")

    yield offer
    patch = {"status": {"capacity": {RESOURCE: None}, "allocatable": {RESOURCE: None}}}
    hollow_cluster.kubectl("patch", "node", "node1", "--subresource=status", "--type=merge", "-p", json.dumps(patch))
    hollow_cluster.kubectl("delete", "priorityclass", *CLASSES, "--ignore-not-found")


def pod_spec(priority, slots_wanted):
    wanted = {RESOURCE: str(slots_wanted)}
    return {
        "priorityClassName": priority,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "busybox:local", "resources": {"requests": wanted, "limits": wanted}}],
    }


def pod(name, priority, slots_wanted=1):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec(priority, slots_wanted)}


def replica_set(name, priority, replicas):
    template = {"metadata": {"labels": {"rs": name}}, "spec": pod_spec(priority, 1)}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"rs": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec}


def names(kubectl, *arguments):
    return set(kubectl("get", "pods", "-o", "name", *arguments).split())


def test_the_least_important_victim_goes_and_others_stay(hollow_cluster, kubectl, slots):
    """C316: the lowest pod is deleted, the middle one stays, the new one runs."""
    slots(2)
    for name, priority in (("low", "preempt-p1"), ("middle", "preempt-p2")):
        kubectl("create", "-f", "-", text=json.dumps(pod(name, priority)))
    kubectl("wait", "pod/low", "pod/middle", "--for=condition=Ready", "--timeout=60s")
    middle = kubectl("get", "pod", "middle", "-o", "jsonpath={.metadata.uid}")
    kubectl("create", "-f", "-", text=json.dumps(pod("high", "preempt-p3")))
    kubectl("wait", "pod/high", "--for=condition=Ready", "--timeout=60s")
    assert names(kubectl) == {"pod/middle", "pod/high"}
    assert kubectl("get", "pod", "middle", "-o", "jsonpath={.metadata.uid}") == middle
    assert "Preempted" in kubectl("events")


@pytest.mark.parametrize("critical", ["system-cluster-critical", "system-node-critical"])
def test_critical_pods_preempt(hollow_cluster, namespace, kubectl, slots, critical):
    """C317: a critical pod of kube-system pushes out a lesser one and runs."""
    slots(1)
    assert critical in kubectl("get", "priorityclasses")
    kubectl("create", "-f", "-", text=json.dumps(pod("victim", "preempt-p1")))
    kubectl("wait", "pod/victim", "--for=condition=Ready", "--timeout=60s")
    name = f"critical-{namespace}"
    system = ("-n", "kube-system")
    hollow_cluster.kubectl(*system, "create", "-f", "-", text=json.dumps(pod(name, critical)))
    try:
        hollow_cluster.kubectl(*system, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        assert names(kubectl) == set()
    finally:
        hollow_cluster.kubectl(*system, "delete", "pod", name, "--now")


def test_four_levels_of_replica_sets(hollow_cluster, kubectl, slots):
    """C314: five slots; levels 1 to 3 take them; level 4 pushes out the lowest, and each ends with what is left for it."""
    slots(5)
    for level, replicas in ((1, 1), (2, 1), (3, 3)):
        body = replica_set(f"rs{level}", f"preempt-p{level}", replicas)
        kubectl("create", "-f", "-", text=json.dumps(body))
        kubectl("wait", f"rs/rs{level}", f"--for=jsonpath={{.status.readyReplicas}}={replicas}", "--timeout=60s")
    kept = names(kubectl, "-l", "rs=rs3")
    kubectl("create", "-f", "-", text=json.dumps(replica_set("rs4", "preempt-p4", 2)))
    kubectl("wait", "rs/rs4", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s")

    def running(level):
        return len(names(kubectl, "-l", f"rs=rs{level}", "--field-selector=status.phase=Running"))

    hollow_cluster.wait(lambda: [running(level) for level in (1, 2, 3, 4)] == [0, 0, 3, 2])
    assert names(kubectl, "-l", "rs=rs3") == kept
