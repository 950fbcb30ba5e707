"""Deadlines that move, and waiting for several things at once."""

import asyncio

import pytest

from windlass.testing.clock import FakeClock
from windlass_hostagent.pods.deadline import Deadline, every, first, to_its_end


async def test_a_deadline_moves_closer_and_never_away():
    clock = FakeClock()
    deadline = Deadline(clock, 30)
    passed = asyncio.ensure_future(deadline.passed())
    await clock.advance(5)
    deadline.shorten(100)
    assert deadline.remaining() == 25
    deadline.shorten(3)
    assert (deadline.remaining(), deadline.granted) == (3, 3)
    await clock.advance(2)
    assert not passed.done()
    await clock.advance(1)
    assert passed.done()


async def test_a_move_before_the_wait_began_is_not_missed():
    clock = FakeClock()
    deadline = Deadline(clock, 30)
    moved = deadline.moved()
    deadline.shorten(1)
    await moved


async def test_first_cancels_the_rest_and_raises_its_error():
    never = asyncio.Event()
    assert await first(asyncio.sleep(0), never.wait()) == {0}

    async def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await first(fails(), never.wait())


async def test_every_goes_on_when_one_fails():
    done = []

    async def work(name):
        await asyncio.sleep(0)
        done.append(name)
        if name == "a":
            raise ValueError(name)

    with pytest.raises(ValueError, match="a"):
        await every(work("a"), work("b"))
    assert done == ["a", "b"]


async def test_what_leaves_something_behind_is_finished_before_the_cancellation():
    gate, made = asyncio.Event(), []

    async def create():
        await gate.wait()
        made.append("container")

    task = asyncio.ensure_future(to_its_end(create()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == ["container"]
