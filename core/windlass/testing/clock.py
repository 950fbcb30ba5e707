"""A clock that only moves when a test says so."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

_TURNS = 20
"""How often the event loop turns after each woken sleeper, so that what it does is done before the next one wakes."""


class FakeClock:
    """Implements `Clock`. Sleepers wake in the order of their deadlines while `advance` runs."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0

    def now(self) -> datetime:
        """Return the fake wall time."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that `advance` and `move` were given so far."""
        return self._elapsed

    def sleepers(self) -> int:
        """Return how many tasks sleep on this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved that far; at once for zero or less, after one turn of the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._sequence, future))
        await future

    def move(self, seconds: float) -> None:
        """Move time without giving any task a turn: for code that only reads the clock."""
        self._elapsed += seconds

    async def advance(self, seconds: float) -> None:
        """Move time, waking sleepers one by one and letting each run until it waits again."""
        target = self._elapsed + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            deadline, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._elapsed = max(self._elapsed, deadline)
                future.set_result(None)
                await self.settle()
        self._elapsed = target
        await self.settle()

    async def settle(self) -> None:
        """Give every task that can run some turns, without moving time."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
