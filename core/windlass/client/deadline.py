"""A deadline on the injected clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from windlass.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await work for at most that long, then cancel it and raise TimeoutError. Work's own errors pass through."""
    loop = asyncio.get_running_loop()
    task, timer = loop.create_task(work), loop.create_task(_sleep(clock, seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError(f"not done within {seconds:g} s")
    finally:
        timer.cancel()
        task.cancel()
        await asyncio.wait({task, timer})
    return task.result()


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
