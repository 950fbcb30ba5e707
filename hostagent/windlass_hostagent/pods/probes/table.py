"""All probes of the node: one heap of due times, one task that sleeps, a task only while a probe is under way.

Workers say which containers run (`watch`), the table says what their probes have proved (`health`) and wakes the
worker when that changes. A probe never overlaps itself. Due times are on the monotonic clock.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ContainerStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.observation import Health
from windlass_hostagent.pods.probes.probe import probe_once
from windlass_hostagent.pods.probes.results import (
    Outcome,
    Result,
    Tally,
    count,
    first_delay,
    judge,
    next_delay,
    verdict,
)
from windlass_hostagent.pods.probes.spec import ProbeSpec, probes_of

Obj = dict[str, Any]
CONCURRENT_EXECS = 16
CONCURRENT_CONNECTIONS = 128
GRAIN_SECONDS = 0.05
"""Probes that fall due this close together share one wake-up."""
SPREAD_SECONDS = 10.0
"""Over how long the first probes are spread of containers that an earlier agent started."""
log = get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    """One running container with probes."""

    uid: str
    pod: Obj
    container: Obj
    container_id: str
    ip: str
    started_at: float
    health: Health
    gone: bool = False


@dataclass(slots=True)
class _Probe:
    watched: _Watched
    spec: ProbeSpec
    tally: Tally = field(default_factory=Tally)


class ProbeTable:
    """`on_change(uid)` tells that a container's health is another; it must not block."""

    def __init__(
        self,
        context: AgentContext,
        on_change: Callable[[str], None],
        *,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._on_change = on_change
        self._spread = spread
        self._watched: dict[str, dict[str, _Watched]] = {}
        self._heap: list[tuple[float, int, _Probe]] = []
        self._sequence = 0
        self._begun = context.clock.monotonic()
        self._quiet: set[str] = set()
        self._wake = asyncio.Event()
        self._execs = asyncio.Semaphore(CONCURRENT_EXECS)
        self._connections = asyncio.Semaphore(CONCURRENT_CONNECTIONS)

    def watch(
        self,
        pod: Obj,
        running: Sequence[tuple[Obj, ContainerStatus]],
        ip: str,
        before: Mapping[str, Obj],
    ) -> None:
        """Take a pod's running containers (definition, status); those not named are no longer probed.

        `before` is what the API shows by container name: a container that an earlier agent proved ready stays so
        until a probe says otherwise. Safe to repeat, and cheap.
        """
        uid = pod["metadata"]["uid"]
        known = self._watched.get(uid, {})
        kept: dict[str, _Watched] = {}
        for container, status in running:
            specs = probes_of(container)
            if not specs:
                continue
            found = known.pop(status.id, None)
            if found is None:
                found = self._begin(pod, container, status, specs, before.get(container["name"], {}))
            found.pod, found.container, found.ip = pod, container, ip
            kept[status.id] = found
        for lost in known.values():
            lost.gone = True
        if kept:
            self._watched[uid] = kept
        else:
            self._watched.pop(uid, None)

    def _begin(
        self, pod: Obj, container: Obj, status: ContainerStatus, specs: Sequence[ProbeSpec], before: Obj
    ) -> _Watched:
        kinds = {s.kind for s in specs}
        age = max(0.0, self._context.clock.now().timestamp() - status.started_at)
        started_at = self._context.clock.monotonic() - age
        adopted = started_at < self._begun
        same = adopted and str(before.get("containerID", "")).endswith(status.id)
        health = Health(
            started="startup" not in kinds or (same and bool(before.get("started"))),
            ready="readiness" not in kinds or (same and bool(before.get("ready"))),
        )
        watched = _Watched(
            uid=pod["metadata"]["uid"],
            pod=pod,
            container=container,
            container_id=status.id,
            ip="",
            started_at=started_at,
            health=health,
        )
        for spec in specs:
            delay = first_delay(spec, age)
            if adopted:
                delay += self._spread() * min(spec.period_seconds, SPREAD_SECONDS)
            if spec.kind == "startup" and health.started:
                continue
            if spec.kind != "startup" and not health.started:
                continue  # due once the startup probe has passed
            self._push(_Probe(watched, spec), delay)
        return watched

    def health(self, pod_uid: str) -> dict[str, Health]:
        """Return what is proved of a pod's containers, by container id."""
        return {i: w.health for i, w in self._watched.get(pod_uid, {}).items()}

    def quiet(self, pod_uid: str) -> None:
        """Ask no more whether a pod that is ending lives; whether it is ready is still asked."""
        self._quiet.add(pod_uid)

    def forget(self, pod_uid: str) -> None:
        """Stop all probes of a pod."""
        self._quiet.discard(pod_uid)
        for watched in self._watched.pop(pod_uid, {}).values():
            watched.gone = True

    def statistics(self) -> dict[str, int]:
        """Return how many containers are probed and how many tries wait for their time."""
        return {"containers": sum(map(len, self._watched.values())), "waiting": len(self._heap)}

    def _push(self, probe: _Probe, delay: float) -> None:
        due = self._context.clock.monotonic() + delay
        first = not self._heap or due < self._heap[0][0]
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, probe))
        if first:
            self._wake.set()

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                now = self._context.clock.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    _, _, probe = heapq.heappop(self._heap)
                    if self._wanted(probe):
                        group.create_task(self._try(probe))
                self._wake.clear()
                await self._pause(self._heap[0][0] - now if self._heap else None)

    async def _pause(self, seconds: float | None) -> None:
        """Wait until the next probe is due, or until one that is due earlier has come."""
        if seconds is None:
            await self._wake.wait()
            return
        sleeping = asyncio.ensure_future(self._context.clock.sleep(max(seconds, GRAIN_SECONDS)))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    def _wanted(self, probe: _Probe) -> bool:
        watched = probe.watched
        if watched.gone or watched.health.failed:
            return False
        return probe.spec.kind == "readiness" or watched.uid not in self._quiet

    async def _try(self, probe: _Probe) -> None:
        """Try once, count, and set the next time."""
        watched, spec = probe.watched, probe.spec
        slots = self._execs if spec.handler.get("exec") else self._connections
        async with slots:
            if not self._wanted(probe):
                return
            try:
                outcome = await probe_once(
                    self._context.runtime, spec, watched.container, watched.container_id, watched.ip
                )
            except Exception as error:
                log.warning("probe_broke", container=watched.container_id, exc_info=error)
                outcome = Outcome(Result.UNKNOWN, str(error) or type(error).__name__)
        if self._wanted(probe):
            self._take(probe, outcome)

    def _take(self, probe: _Probe, outcome: Outcome) -> None:
        watched, spec = probe.watched, probe.spec
        self._tell(probe, outcome)
        probe.tally = count(probe.tally, outcome)
        before = watched.health
        watched.health = judge(before, spec, proved=verdict(probe.tally, spec))
        age = self._context.clock.monotonic() - watched.started_at
        if watched.health != before:
            self._on_change(watched.uid)
            if watched.health.started and not before.started:
                self._after_startup(watched, age)
        if spec.kind == "startup" and watched.health.started:
            return
        self._push(probe, next_delay(spec, watched.health, age))

    def _after_startup(self, watched: _Watched, age: float) -> None:
        """Begin the probes that waited for the startup probe."""
        for spec in probes_of(watched.container):
            if spec.kind != "startup":
                self._push(_Probe(watched, spec), first_delay(spec, age))

    def _tell(self, probe: _Probe, outcome: Outcome) -> None:
        """Record what users should know."""
        kind, watched = probe.spec.kind.capitalize(), probe.watched
        told = {
            Result.FAILURE: ("Unhealthy", f"{kind} probe failed: {outcome.message}"),
            Result.UNKNOWN: ("Unhealthy", f"{kind} probe errored and resulted in unknown state: {outcome.message}"),
            Result.WARNING: ("ProbeWarning", f"{kind} probe warning: {outcome.message}"),
        }.get(outcome.result)
        if told is not None:
            self._context.event(watched.pod, "Warning", told[0], told[1], watched.container["name"])
