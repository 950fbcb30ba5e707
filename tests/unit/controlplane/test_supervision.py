import asyncio
import itertools

import aiohttp
import pytest

from windlass.controlplane.probes import serve_probes
from windlass.controlplane.supervision import Supervisor
from windlass.testing.clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


async def test_a_loop_that_breaks_is_started_again_with_back_off_and_the_others_go_on(clock):
    starts, steady = [], []

    async def broken():
        starts.append(clock.monotonic())
        raise RuntimeError("broken")

    async def fine():
        steady.append(1)
        await asyncio.Event().wait()

    supervisor = Supervisor(clock)
    task = asyncio.ensure_future(supervisor.run({"broken": broken, "fine": fine}))
    await clock.advance(10)
    waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert waits == [1, 2, 4]
    assert steady == [1]
    state = supervisor.statistics()
    assert state["broken"]["restarts"] == len(starts)
    assert "broken" in state["broken"]["lastError"]
    assert state["fine"] == {"restarts": 0, "running": True, "lastError": ""}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_loop_that_ends_by_itself_is_no_silent_state(clock):
    async def ends():
        return None

    supervisor = Supervisor(clock)
    task = asyncio.ensure_future(supervisor.run({"ends": ends}))
    await clock.settle()
    assert supervisor.statistics()["ends"]["lastError"] == "ended by itself"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_probes_say_what_is_wrong():
    async def fine():
        return ""

    checks = {"ping": lambda: "", "store": lambda: "no route"}
    async with serve_probes("127.0.0.1", 0, live={"ping": fine}, ready=checks) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/livez") as answer:
            assert (answer.status, await answer.text()) == (200, "[+]ping ok\n")
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "[+]ping ok\n[-]store failed: no route\n")
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.status == 200
            assert "windlass_restarts" in await answer.text()
