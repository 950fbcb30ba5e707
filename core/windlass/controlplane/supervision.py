"""Keeps loops running: each in its own task, restarted with back-off when it ends or raises."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from prometheus_client import Counter

from windlass.clock import Clock
from windlass.logs import get_logger

BASE_SECONDS = 0.5
MAX_SECONDS = 60.0
SETTLED_SECONDS = 120.0
RESTARTS = Counter("windlass_restarts", "Loops of the manager that ended and were started again", ["loop"])
log = get_logger(__name__)


@dataclass(slots=True)
class LoopState:
    """What is known of one loop."""

    restarts: int = 0
    running: bool = False
    last_error: str = ""


class Supervisor:
    """Runs loops side by side. One that breaks is logged, counted and built anew; the others go on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.loops: dict[str, LoopState] = {}

    async def run(self, loops: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Run all until cancelled; each value builds and runs its loop."""
        async with asyncio.TaskGroup() as group:
            for name, start in loops.items():
                group.create_task(self._keep_running(name, start), name=name)

    async def _keep_running(self, name: str, start: Callable[[], Awaitable[None]]) -> None:
        state = self.loops[name] = LoopState()
        failures = 0
        while True:
            began = self._clock.monotonic()
            state.running = True
            try:
                await start()
                state.last_error = "ended by itself"
                log.error("loop_ended", loop=name)
            except Exception as error:  # isolation: whatever breaks one controller must not stop the others
                state.last_error = repr(error)
                log.exception("loop_failed", loop=name)
            finally:
                state.running = False
            settled = self._clock.monotonic() - began > SETTLED_SECONDS
            failures = 0 if settled else failures + 1
            state.restarts += 1
            RESTARTS.labels(name).inc()
            await self._clock.sleep(min(MAX_SECONDS, BASE_SECONDS * 2.0 ** min(failures, 10)))

    def statistics(self) -> dict[str, dict[str, object]]:
        """Return every loop's state by name."""
        return {
            name: {"restarts": state.restarts, "running": state.running, "lastError": state.last_error}
            for name, state in self.loops.items()
        }
