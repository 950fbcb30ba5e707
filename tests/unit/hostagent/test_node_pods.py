"""Pods that a node refuses, evicts, or runs from files of its own."""

import json

import pytest

from windlass.apis.resources import PODS
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.static.manifest import read_manifest


class Mirrors:
    """Notes what would be mirrored."""

    def __init__(self):
        self.shown = {}
        self.looked = []

    def note(self, pod):
        self.shown[pod["metadata"]["uid"]] = pod["status"]["phase"]

    def forget(self, pod):
        del self.shown[pod["metadata"]["uid"]]

    def seen(self, mirror):
        self.looked.append(mirror["metadata"]["name"])


def static_pod(image="app:1"):
    content = json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}]},
    })  # fmt: skip
    return read_manifest("web.json", content.encode(), "n1")


@pytest.fixture
def box(boxes):
    node = boxes()
    node.mirrors = node.manager.mirrors = Mirrors()
    return node


async def running(node):
    return sorted(c.image for c in await node.runtime.list_containers() if c.state == "running")


async def test_a_pod_too_large_for_the_node_fails_and_disturbs_nobody(box, pod):
    await box.start()
    box.api.put(PODS, pod("first", uid="u1"))
    large = [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "3"}}}]
    box.api.put(PODS, pod("large", uid="u2", containers=large))
    await box.settle()
    status = box.api.stored("pods", "large")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    assert "containerStatuses" not in status
    assert "requested: 3000, used: 0, capacity: 2000" in status["message"]
    assert box.api.stored("pods", "first")["status"]["phase"] == "Running"
    assert await running(box) == ["app:1"]


async def test_a_pod_that_runs_is_never_refused_by_a_new_agent(boxes, box, pod):
    await box.start()
    box.api.put(PODS, pod())
    await box.settle()
    await box.crash()
    box.context.allocatable = {"pods": "0"}
    again = boxes(runtime=box.runtime, api=box.api)
    again.context.allocatable = {"pods": "0"}
    await again.start()
    assert again.api.stored("pods", "web")["status"]["phase"] == "Running"


async def test_an_evicted_pod_is_stopped_and_failed(box, pod):
    await box.start()
    box.api.put(PODS, pod())
    await box.settle()
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    assert box.manager.fail("uid-1", Fate("Evicted", "low on memory", grace_seconds=0, conditions=(condition,)))
    await box.settle()
    status = box.api.stored("pods", "web")["status"]
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", "low on memory")
    assert "DisruptionTarget" in {c["type"] for c in status["conditions"]}
    assert await running(box) == []


async def test_a_static_pod_runs_without_the_api(box):
    box.manager.add_static(static_pod())
    await box.start()
    assert await running(box) == ["app:1"]
    assert list(box.mirrors.shown.values()) == ["Running"]
    assert box.api.patches == []


async def test_the_mirror_is_not_run(box, pod):
    await box.start()
    box.api.put(PODS, pod("web-n1", annotations={"kubernetes.io/config.mirror": "hash"}))
    await box.settle()
    assert await running(box) == []
    assert box.mirrors.looked == ["web-n1"]


async def test_a_changed_file_replaces_the_pod_after_its_end(box):
    await box.start()
    box.manager.add_static(static_pod())
    await box.settle()
    box.manager.remove_static(static_pod())
    box.manager.add_static(static_pod("app:2"))
    await box.settle()
    assert await running(box) == ["app:2"]
    assert list(box.mirrors.shown) == [static_pod("app:2")["metadata"]["uid"]]


async def test_a_new_agent_adopts_a_static_pod(boxes, box):
    box.manager.add_static(static_pod())
    await box.start()
    before = [c.id for c in await box.runtime.list_containers()]
    await box.crash()
    again = boxes(runtime=box.runtime, api=box.api)
    again.manager.mirrors = Mirrors()
    again.manager.add_static(static_pod())
    await again.start()
    assert [c.id for c in await again.runtime.list_containers()] == before
    assert await running(again) == ["app:1"]
