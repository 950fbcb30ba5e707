"""A deadline that may move closer (a grace period that a second delete cuts short), and waiting for several things."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from windlass.clock import Clock

T = TypeVar("T")


class Deadline:
    """So many seconds from now, on the monotonic clock. `granted` is what it was last set to: 0 means at once."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.granted = seconds
        self._clock = clock
        self._at = clock.monotonic() + seconds
        self._moved = asyncio.Event()

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._at - self._clock.monotonic())

    def shorten(self, seconds: float) -> None:
        """Move it to so many seconds from now, if that is earlier."""
        at = self._clock.monotonic() + seconds
        if at < self._at:
            self._at, self.granted = at, seconds
            self._moved.set()
            self._moved = asyncio.Event()

    def moved(self) -> Coroutine[Any, Any, Any]:
        """Wait until it moves closer, counted from this call and not from when the wait begins."""
        return self._moved.wait()

    async def passed(self) -> None:
        """Wait until it is over."""
        while (left := self.remaining()) > 0:
            await first(self._clock.sleep(left), self.moved())


async def first(*coroutines: Coroutine[Any, Any, Any]) -> set[int]:
    """Run until one has ended, cancel the others; return the places of those that ended. Raises theirs."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return {i for i, t in enumerate(tasks) if t in done}


async def every(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all to their ends, then raise the first error there was: one that fails does not hold up the others."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Finish the work even when the caller is cancelled: for what would leave something that nobody knows of."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # the cancellation is what the caller hears of
        raise
