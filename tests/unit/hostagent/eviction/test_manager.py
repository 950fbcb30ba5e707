"""The eviction round: own limits first, images before pods, one pod at a time, conditions that do not flap."""

import pytest

from windlass.plugin.interfaces.runtime import ContainerStats, Image
from windlass.testing.clock import FakeClock
from windlass_hostagent.eviction.manager import TRANSITION_SECONDS, EvictionManager, Pressure
from windlass_hostagent.eviction.thresholds import Shortage, parse_thresholds
from windlass_hostagent.node.image_gc import ImageGarbageCollector, ImageGcPolicy
from windlass_hostagent.pods.observation import LABEL_UID
from windlass_hostagent.stats.sample import FilesystemSample, MemorySample, NodeSample
from windlass_hostagent.stats.summary import build_summary

GIB = 1 << 30


class Images:
    """A runtime that has images, and removes them."""

    def __init__(self, sizes):
        self.images = [Image(name, (name,), size) for name, size in sizes.items()]

    async def list_images(self):
        return list(self.images)

    async def list_containers(self):
        return []

    async def remove_image(self, name):
        self.images = [i for i in self.images if i.id != name]


class Collector:
    """Figures that the test sets."""

    def __init__(self, pods):
        self.latest = None
        self.pods = {p["metadata"]["uid"]: p for p in pods}

    async def summary(self):
        return build_summary("n1", self.latest, None, self.pods, {})


def pod(name, *, priority=0, storage=""):
    limits = {"ephemeral-storage": storage} if storage else {}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"priority": priority, "containers": [{"name": "main", "resources": {"limits": limits}}]},
        "status": {"phase": "Running"},
    }


def stats(name, memory=0, rootfs=0):
    return ContainerStats(f"c-{name}", "main", {LABEL_UID: name}, 0.0, 0, memory, memory, rootfs_bytes=rootfs)


def sample(containers, *, memory=2 * GIB, disk=50 * GIB):
    nodefs = FilesystemSample("/data", 100 * GIB, disk, 100 * GIB - disk, 0, 0)
    return NodeSample(0.0, 0, MemorySample(4 * GIB, memory), nodefs, nodefs, 1000, 1, containers)


class Box:
    def __init__(self, pods, images=()):
        self.clock = FakeClock()
        self.runtime = Images(dict(images))
        self.collector = Collector(pods)
        self.evicted = []
        collector = ImageGarbageCollector(self.runtime, self.clock, lambda: self.collector.latest, ImageGcPolicy())
        self.image_gc = collector
        self.manager = EvictionManager(
            collector=self.collector,
            images=collector,
            thresholds=parse_thresholds("memory.available<1Gi,nodefs.available<10%"),
            clock=self.clock,
            pods=lambda: pods,
            fail=self.fail,
        )

    def fail(self, uid, fate):
        self.evicted.append((uid, fate.reason, fate.message))
        return True

    async def check(self, containers, **changes):
        self.collector.latest = sample(containers, **changes)
        await self.manager.check()
        return [name for name, _, _ in self.evicted]


async def test_nothing_short_nobody_goes():
    assert await Box([pod("a")]).check([stats("a", GIB)]) == []


async def test_one_pod_per_round_the_greediest_first():
    box = Box([pod("small"), pod("large")])
    assert await box.check([stats("small", GIB // 2), stats("large", GIB)], memory=GIB // 2) == ["large"]
    assert "low on resource: memory" in box.evicted[0][2]
    assert box.manager.pressure.conditions(box.clock.monotonic())["MemoryPressure"]


async def test_idle_images_go_before_pods():
    box = Box([pod("a")], images={"old": 3 * GIB, "new": 3 * GIB})
    await box.image_gc.collect(0)
    await box.clock.advance(600)
    assert await box.check([stats("a")], disk=8 * GIB) == []
    assert [i.id for i in box.runtime.images] == ["old"]


async def test_too_few_images_then_a_pod():
    box = Box([pod("a")])
    assert await box.check([stats("a", rootfs=GIB)], disk=8 * GIB) == ["a"]


async def test_own_limit_even_when_nothing_is_short():
    box = Box([pod("a"), pod("b", storage="1Mi")])
    assert await box.check([stats("a", rootfs=GIB), stats("b", rootfs=2 << 20)]) == ["b"]


async def test_a_pod_that_has_ended_is_left_alone():
    ended = {**pod("a"), "status": {"phase": "Failed"}}
    assert await Box([ended]).check([], memory=0) == []


@pytest.mark.parametrize(("later", "holds"), [(TRANSITION_SECONDS - 1, True), (TRANSITION_SECONDS, False)])
def test_a_condition_holds_for_its_transition_period(later, holds):
    pressure = Pressure()
    pressure.note([Shortage("nodefs.inodesFree", 1, 10, 2)], 100.0)
    assert pressure.conditions(100.0 + later) == {
        "MemoryPressure": False, "DiskPressure": holds, "PIDPressure": False,
    }  # fmt: skip
