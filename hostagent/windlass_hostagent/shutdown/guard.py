"""Ends the node's pods in good order when the machine shuts down, and takes none meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from windlass.clock import Clock
from windlass.logs import get_logger
from windlass_hostagent.pods.deadline import every
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.shutdown.logind import Logind, LogindUnavailableError
from windlass_hostagent.shutdown.plan import Phase, ShutdownPolicy, phases

Obj = dict[str, Any]
RETRY_SECONDS = 30.0
REASON = "Terminated"
MESSAGE = "Pod was terminated in response to imminent node shutdown."
DISRUPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "TerminationByKubelet",
    "message": MESSAGE,
}
log = get_logger(__name__)


class ShutdownGuard:
    """Waits for logind's word. `terminate(uid, fate)` returns when that pod has ended; `report` writes the Node's status.

    `shutting_down` keeps the node NotReady and new pods out.
    """

    def __init__(
        self,
        policy: ShutdownPolicy,
        clock: Clock,
        *,
        pods: Callable[[], Sequence[Obj]],
        terminate: Callable[[str, Fate], Coroutine[Any, Any, None]],
        report: Callable[[], Awaitable[None]],
        bus_address: str = "",
    ) -> None:
        self.shutting_down = False
        self._policy = policy
        self._clock = clock
        self._pods = pods
        self._terminate = terminate
        self._report = report
        self._bus_address = bus_address

    async def run(self) -> None:
        """Listen until cancelled; without logind the node runs on, and says so."""
        while True:
            try:
                async with Logind.connect(self._bus_address) as logind:
                    await self._listen(logind)
            except LogindUnavailableError as error:
                log.warning("graceful_shutdown_off", error=str(error))
            await self._clock.sleep(RETRY_SECONDS)

    async def _listen(self, logind: Logind) -> None:
        await logind.inhibit()
        allowed = await logind.max_delay_seconds()
        if allowed < self._policy.grace_seconds:
            log.warning("shutdown_delay_too_short", wanted=self._policy.grace_seconds, allowed=allowed)
        log.info("shutdown_watched", grace_seconds=self._policy.grace_seconds)
        async for beginning in logind.announcements():
            self.shutting_down = beginning
            if not beginning:
                log.info("shutdown_called_off")
                await logind.inhibit()
                await self._report()
                continue
            try:
                await self.end_pods()
            finally:
                logind.release()

    async def end_pods(self) -> None:
        """End all pods, phase by phase, each within its time."""
        log.warning("node_shutting_down", pods=len(self._pods()))
        await self._report()
        for phase in phases(self._pods(), self._policy):
            await self._end(phase)

    async def _end(self, phase: Phase) -> None:
        """End the pods of a phase; go on after its time, whatever has not ended."""
        fates = [
            (uid, Fate(REASON, MESSAGE, grace_seconds=grace, conditions=(DISRUPTED,))) for uid, grace in phase.pods
        ]
        ending = asyncio.ensure_future(every(*(self._terminate(uid, fate) for uid, fate in fates)))
        over = asyncio.ensure_future(self._clock.sleep(phase.seconds))
        try:
            done, _ = await asyncio.wait({ending, over}, return_when=asyncio.FIRST_COMPLETED)
            if ending not in done:
                log.warning("shutdown_phase_over", seconds=phase.seconds)
        finally:
            for task in (ending, over):
                task.cancel()
            await asyncio.gather(ending, over, return_exceptions=True)
