"""Connections to processes that do not exist: what they print and how they end is made up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from windlass.clock import Clock


class HollowStream:
    """Prints what it is told, echoes its input when it has one, and ends.

    `ended` is awaited for the exit code: an exec's is there at once or after its delay, an attached container's when it
    ends.
    """

    def __init__(
        self, output: Sequence[tuple[str, bytes]], ended: Callable[[], Awaitable[int]], *, stdin: bool
    ) -> None:
        self._output = output
        self._ended = ended
        self._input: asyncio.Queue[bytes] = asyncio.Queue(64)
        self._closed = asyncio.Event()
        if not stdin:
            self._closed.set()
        self.sizes: list[tuple[int, int]] = []

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the output, then the input as it comes, like `cat`."""
        for piece in self._output:
            yield piece
        while not (self._closed.is_set() and self._input.empty()):
            data = await self._next()
            if data:
                yield "stdout", data

    async def _next(self) -> bytes:
        getter = asyncio.ensure_future(self._input.get())
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({getter, closed}, return_when=asyncio.FIRST_COMPLETED)
            return getter.result() if getter.done() else b""
        finally:
            getter.cancel()
            closed.cancel()
            await asyncio.gather(getter, closed, return_exceptions=True)

    async def write(self, data: bytes) -> None:
        """Take input; waits while nobody reads the output."""
        if not self._closed.is_set():
            await self._input.put(data)

    async def close_stdin(self) -> None:
        """End the input."""
        self._closed.set()

    async def resize(self, width: int, height: int) -> None:
        """Remember the size."""
        self.sizes.append((width, height))

    async def wait(self) -> int:
        """Return the made-up exit code."""
        await self._closed.wait()
        return await self._ended()

    async def close(self) -> None:
        """End the input."""
        self._closed.set()


async def after(clock: Clock, seconds: float, code: int) -> int:
    """Return a code after a time."""
    if seconds > 0:
        await clock.sleep(seconds)
    return code
