"""An hour of crashes, and clocks that jump: a clock that a test moves."""

import itertools
from datetime import timedelta

from windlass.apis.resources import PODS

RUN = "hollow.windlass.dev/run-seconds"
CODE = "hollow.windlass.dev/exit-code"


def starts_of(node):
    """Note when containers start."""
    times = []
    start = node.runtime.start_container

    async def start_container(container_id):
        times.append(node.clock.monotonic())
        await start(container_id)

    node.runtime.start_container = start_container
    return times


async def test_an_hour_of_crashes(boxes, pod):
    """N65: 10 s doubling to 5 min; a bounded number of writes; events that say the same are counted, not repeated."""
    node = boxes()
    times = starts_of(node)
    await node.start()
    node.api.put(PODS, pod(annotations={RUN: "1", CODE: "1"}))
    await node.settle()
    for _ in range(3600):
        await node.advance(1)
    pauses = [round(b - a - 1) for a, b in itertools.pairwise(times)]
    assert pauses[:7] == [0, 10, 20, 40, 80, 160, 300]
    assert set(pauses[6:]) == {300}
    assert len(node.api.patches) <= 4 * len(times)
    assert node.recorder.reasons().count("BackOff") <= len(times)
    assert len(await node.runtime.list_containers()) == 2


async def test_ten_good_minutes_forgive(boxes, pod):
    node = boxes()
    times = starts_of(node)
    await node.start()
    node.api.put(PODS, pod(annotations={RUN: "700", CODE: "1"}))
    await node.settle()
    for _ in range(300):
        await node.advance(10)
    assert [round(b - a) for a, b in itertools.pairwise(times)] == [700, 700, 700, 700]


async def test_a_wall_clock_that_goes_back_an_hour_holds_nobody_up(boxes, pod):
    """N74: back-off and grace go by the steady clock."""
    node = boxes()
    times = starts_of(node)
    await node.start()
    node.api.put(PODS, pod(annotations={RUN: "1", CODE: "1"}))
    await node.advance(1)
    await node.advance(2)
    node.clock._start -= timedelta(hours=1)
    for _ in range(12):
        await node.advance(1)
    assert len(times) == 3


async def test_a_node_whose_clock_is_ahead_still_gives_the_grace(boxes, pod):
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(annotations={"hollow.windlass.dev/stop-seconds": "20"}))
    await node.settle()
    made = node.api.stored("pods", "web")
    meta = {**made["metadata"], "deletionTimestamp": "2020-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
    node.api.put(PODS, {**made, "metadata": meta})
    await node.advance(19)
    assert node.api.stored("pods", "web") is not None
    await node.advance(2)
    assert node.api.stored("pods", "web") is None
