"""The clock that tests move by hand."""

import asyncio

from windlass.testing.clock import FakeClock


async def test_sleepers_wake_in_order_and_only_when_due():
    clock, woken = FakeClock(), []

    async def sleeper(name, seconds):
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3), ("early", 1), ("never", 9)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(0.5)
        assert (woken, clock.sleepers()) == ([], 3)
        await clock.advance(3)
        assert woken == [("early", 1), ("late", 3)]
        assert clock.monotonic() == 3.5
        await clock.advance(9)
    assert woken[-1] == ("never", 9)


async def test_a_loop_that_sleeps_runs_once_per_period():
    clock, ticks = FakeClock(), []

    async def loop():
        while True:
            await clock.sleep(10)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(loop())
    await clock.advance(35)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ticks == [10, 20, 30]


async def test_a_cancelled_sleeper_harms_nobody():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(2)
    assert clock.sleepers() == 0


def test_wall_time_moves_along():
    clock = FakeClock()
    before = clock.now()
    clock.move(61)
    assert (clock.now() - before).total_seconds() == 61
