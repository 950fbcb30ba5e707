"""The queue: order, back-off, waking, gates, deletion."""

import asyncio

import pytest

from windlass.plugin.interfaces.scheduler import SUCCESS, Code, PluginStatus
from windlass.scheduler.podinfo import PodParser
from windlass.scheduler.queue import Place, SchedulingQueue
from windlass.testing.clock import FakeClock


class Fixture:
    def __init__(self, build):
        self.build, self.clock, self.gated = build, FakeClock(), set()
        self.parser = PodParser()
        self.queue = SchedulingQueue(self.clock, lambda pod: (-pod.priority, pod.created), self.pre_enqueue)

    def pre_enqueue(self, pod):
        return PluginStatus(Code.UNSCHEDULABLE, "gated") if pod.name in self.gated else SUCCESS

    def add(self, name, **facts):
        return self.queue.add(self.parser.parse(self.build.pod(name, **facts)))

    def pop(self, limit=10):
        return [queued.pod.name for queued in self.queue.pop_batch(limit)]


@pytest.fixture
def fixture(build):
    return Fixture(build)


async def test_priority_then_creation_then_arrival(fixture):
    fixture.add("late", created="2026-01-02T00:00:00Z")
    fixture.add("early", created="2026-01-01T00:00:00Z")
    fixture.add("early2", created="2026-01-01T00:00:00Z")
    fixture.add("urgent", priority=5, created="2026-01-03T00:00:00Z")
    assert fixture.pop() == ["urgent", "early", "early2", "late"]


async def test_a_batch_is_one_class_from_the_head(fixture):
    for index in range(3):
        fixture.add(f"a{index}", created="1", labels={"app": "a"})
    fixture.add("b", created="2", labels={"app": "b"})
    fixture.add("a9", created="3", labels={"app": "a"})
    assert [fixture.pop(2), fixture.pop(), fixture.pop(), fixture.pop(), fixture.pop()] == [
        ["a0", "a1"],
        ["a2"],
        ["b"],
        ["a9"],
        [],
    ]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (9, 10)])
async def test_backoff_doubles_from_one_to_ten_seconds(fixture, attempts, seconds):
    queued = fixture.add("p")
    for _ in range(attempts):
        fixture.clock.move(20)
        fixture.queue.flush()
        assert fixture.pop() == ["p"]
        fixture.queue.retry(queued)
    fixture.clock.move(seconds - 0.01)
    fixture.queue.flush()
    assert queued.place is Place.BACKOFF
    fixture.clock.move(0.02)
    fixture.queue.flush()
    assert queued.place is Place.ACTIVE


async def test_unschedulable_pods_wait_for_what_may_help_them(fixture):
    one, other = fixture.add("one", labels={"a": "1"}), fixture.add("other", labels={"a": "2"})
    for _ in range(2):
        [queued] = fixture.queue.pop_batch(1)
        fixture.queue.park(queued)
    assert fixture.queue.statistics()["unschedulable"] == 2
    fixture.clock.move(5)
    assert fixture.queue.wake(lambda pod: pod.name == "one") == 1
    assert (one.place, other.place) == (Place.ACTIVE, Place.UNSCHEDULABLE)


async def test_waking_respects_backoff(fixture):
    queued = fixture.add("p")
    fixture.pop()
    fixture.queue.park(queued)
    fixture.queue.wake(lambda _: True)
    assert queued.place is Place.BACKOFF
    fixture.clock.move(1)
    fixture.queue.flush()
    assert queued.place is Place.ACTIVE


async def test_stale_unschedulable_pods_are_tried_again_after_five_minutes(fixture):
    queued = fixture.add("p")
    fixture.pop()
    fixture.queue.park(queued)
    fixture.clock.move(299)
    fixture.queue.flush()
    assert queued.place is Place.UNSCHEDULABLE
    fixture.clock.move(1)
    fixture.queue.flush()
    assert queued.place is Place.ACTIVE


async def test_a_changed_spec_ends_the_waiting_a_changed_status_does_not(fixture):
    queued = fixture.add("p", requests={"cpu": "64"})
    fixture.pop()
    fixture.queue.park(queued)
    fixture.add("p", requests={"cpu": "64"}, metadata={"resourceVersion": "2"})
    assert queued.place is Place.UNSCHEDULABLE
    fixture.add("p", requests={"cpu": "1"})
    assert queued.place is Place.ACTIVE
    assert fixture.queue.statistics()["unschedulable"] == 0


async def test_gated_pods_enter_when_the_gate_opens(fixture):
    fixture.gated.add("p")
    queued = fixture.add("p")
    assert (queued.place, queued.message) == (Place.GATED, "gated")
    assert fixture.pop() == []
    fixture.gated.clear()
    fixture.add("p")
    assert fixture.pop() == ["p"]


@pytest.mark.parametrize("fate", ["active", "parked", "backoff", "in flight"])
async def test_deleted_pods_are_gone_wherever_they_waited(fixture, fate):
    queued = fixture.add("p")
    if fate != "active":
        fixture.pop()
    if fate == "parked":
        fixture.queue.park(queued)
    if fate == "backoff":
        fixture.queue.retry(queued)
    fixture.queue.delete(queued.pod.uid)
    fixture.queue.retry(queued)
    fixture.queue.park(queued)
    fixture.clock.move(1000)
    fixture.queue.flush()
    assert fixture.pop() == []
    assert sum(fixture.queue.statistics().values()) == 0


async def test_a_higher_priority_reorders_a_waiting_pod(fixture):
    fixture.add("first", created="1")
    fixture.add("second", created="2")
    fixture.add("second", created="2", priority=9)
    assert fixture.pop() == ["second", "first"]


async def test_wait_returns_when_there_is_work(fixture):
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(fixture.queue.wait())
        await fixture.clock.settle()
        assert not waiting.done()
        fixture.add("p")
