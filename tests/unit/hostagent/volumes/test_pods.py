"""A pod's life with volumes: it waits for them, its containers get them, its end removes them."""

import pytest

from windlass.apis.resources import PODS

pytestmark = pytest.mark.root
CONFIG = [{"name": "vol", "configMap": {"name": "config"}}]
CONTAINER = {
    "name": "main",
    "image": "app:1",
    "imagePullPolicy": "IfNotPresent",
    "volumeMounts": [{"name": "vol", "mountPath": "/v"}],
}


@pytest.fixture
async def node(boxes, box):
    """A node whose pods have real volumes."""
    node = boxes()
    box.clock = box.client.clock = node.clock
    box.manager = node.context.volumes = box.make()
    await node.start()
    return node


def wanted(make_pod, **spec):
    return make_pod(containers=[CONTAINER], volumes=CONFIG, **spec)


def status(node):
    return node.api.stored("pods", "web")["status"]


def running(node):
    states = [entry["state"] for entry in status(node).get("containerStatuses") or ()]
    return bool(states) and all("running" in state for state in states)


def make_pod(name="web", **spec):
    meta = {"name": name, "namespace": "default", "uid": "uid-1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": "n1", "restartPolicy": "Always", **spec},
        "status": {"phase": "Pending"},
    }


async def test_containers_wait_for_the_volumes(node, box):
    node.api.put(PODS, wanted(make_pod))
    await box.settle()
    (main,) = status(node)["containerStatuses"]
    assert main["state"]["waiting"]["reason"] == "ContainerCreating"
    assert box.events[0][1] == "FailedMount"
    box.client.put("configmaps", "config", data={"k": "v"})
    await node.advance(0.5)
    await box.until(lambda: running(node))
    assert (box.volume("configmap") / "k").read_text() == "v"


async def test_the_end_of_a_pod_removes_its_volumes(node, box):
    box.client.put("configmaps", "config", data={"k": "v"})
    node.api.put(PODS, wanted(make_pod))
    await box.until(lambda: running(node))
    pod = node.api.stored("pods", "web")
    pod = {
        **pod,
        "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0},
    }
    node.api.put(PODS, pod)
    await box.until(lambda: node.api.stored("pods", "web") is None)
    assert not (box.data_dir / "pods/uid-1").exists()


async def test_a_finished_pod_keeps_no_volumes(node, box):
    box.client.put("configmaps", "config", data={"k": "v"})
    node.api.put(PODS, wanted(make_pod, restartPolicy="Never"))
    await box.until(lambda: running(node))
    for container in await node.runtime.list_containers():
        await node.runtime.stop_container(container.id, 0)
    await box.until(lambda: status(node)["phase"] in ("Succeeded", "Failed"))
    await box.until(lambda: not (box.data_dir / "pods/uid-1/volumes").exists())


async def test_volumes_of_pods_that_went_while_no_agent_ran_are_removed(boxes, node, box):
    box.client.put("configmaps", "config", data={"k": "v"})
    node.api.put(PODS, wanted(make_pod))
    await box.until(lambda: running(node))
    await node.crash()
    del node.api.objects["pods", "default", "web"]
    later = boxes(runtime=node.runtime, api=node.api)
    later.context.volumes = box.make()
    await later.start()
    await box.until(lambda: not (box.data_dir / "pods/uid-1").exists())
