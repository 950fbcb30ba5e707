"""A queue of keys: each waits at most once and is worked on by one worker at a time.

A key added while it is being worked on comes again afterwards. A key that failed comes again with exponential back-off.
"""

import asyncio
import heapq
import itertools
from collections import deque
from typing import Any

from windlass.clock import Clock

BASE_DELAY_SECONDS = 0.005
MAX_DELAY_SECONDS = 60.0
TICK_SECONDS = 0.0001
"""Less than this is no time: a wait for a rounding error would be repeated forever."""


class WorkQueue:
    """Keys that wait for work. All methods but `get` and `run` are synchronous and never block.

    `run` must be running for delayed keys (`add_after`, `retry`) to come up.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        base_delay_seconds: float = BASE_DELAY_SECONDS,
        max_delay_seconds: float = MAX_DELAY_SECONDS,
    ) -> None:
        self._clock = clock
        self._base, self._max = base_delay_seconds, max_delay_seconds
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._delayed: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._order = itertools.count()
        self._has_ready = asyncio.Event()
        self._has_sooner = asyncio.Event()
        self._added = self._retried = 0

    def add(self, key: str) -> None:
        """Add a key; nothing happens when it waits already."""
        if key in self._dirty:
            return
        self._added += 1
        self._dirty.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._has_ready.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Add a key after a while; of several such wishes for one key the soonest holds."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, next(self._order), key))
        if self._delayed[0][2] == key:
            self._has_sooner.set()

    def retry(self, key: str, *, at_least_seconds: float = 0.0) -> float:
        """Add a key that failed after its back-off; return that delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._retried += 1
        delay = max(at_least_seconds, min(self._max, self._base * 2.0 ** min(failures, 40)))
        self.add_after(key, delay)
        return delay

    def forget(self, key: str) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Return how often in a row the key was retried."""
        return self._failures.get(key, 0)

    async def get(self) -> str:
        """Return the next key, waiting for one. The caller must call `done` with it."""
        while not self._ready:
            self._has_ready.clear()
            await self._has_ready.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """Say that the work on a key has ended, well or not."""
        self._working.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._has_ready.set()

    async def run(self) -> None:
        """Bring up delayed keys, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._has_sooner.clear()
                self._bring_up()
                waits: list[asyncio.Task[Any]] = [group.create_task(self._has_sooner.wait())]
                if self._delayed:
                    seconds = self._delayed[0][0] - self._clock.monotonic()
                    waits.append(group.create_task(self._sleep(seconds)))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in waits:
                    task.cancel()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def _bring_up(self) -> None:
        now = self._clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now + TICK_SECONDS:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def statistics(self) -> dict[str, int]:
        """Return how many keys wait, are worked on, are delayed, and how many were ever added and retried."""
        return {
            "ready": len(self._ready),
            "working": len(self._working),
            "delayed": len(self._due),
            "added": self._added,
            "retried": self._retried,
        }
