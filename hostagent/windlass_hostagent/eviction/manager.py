"""Frees what the node runs short of: first dead weight (images), then one pod at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.clock import Clock
from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass_hostagent.eviction.ranking import PodUsage, eviction_message, limit_breach, rank
from windlass_hostagent.eviction.thresholds import CONDITIONS, Shortage, Threshold, shortages
from windlass_hostagent.eviction.usage import pod_usage
from windlass_hostagent.node.image_gc import ImageGarbageCollector
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.stats.collector import StatsCollector

Obj = dict[str, Any]
CHECK_SECONDS = 10.0
TRANSITION_SECONDS = 300.0
EVICTED = "Evicted"
DISRUPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "TerminationByKubelet",
    "message": "The node evicted the pod",
}
Fail = Callable[[str, Fate], bool]
log = get_logger(__name__)


@dataclass(slots=True)
class Pressure:
    """The node's pressure conditions. A condition holds for `TRANSITION_SECONDS` after its last shortage."""

    seen: dict[str, float] = field(default_factory=dict)

    def note(self, found: Sequence[Shortage], now: float) -> None:
        """Take one round's shortages."""
        for shortage in found:
            self.seen[CONDITIONS[shortage.signal]] = now

    def conditions(self, now: float) -> dict[str, bool]:
        """Return every pressure condition of a Node."""
        return {
            kind: kind in self.seen and now - self.seen[kind] < TRANSITION_SECONDS
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
        }


class EvictionManager:
    """Watches the figures. `pods` returns the node's live pods; `fail(uid, fate)` ends one."""

    def __init__(
        self,
        *,
        collector: StatsCollector,
        images: ImageGarbageCollector,
        thresholds: Sequence[Threshold],
        clock: Clock,
        pods: Callable[[], Sequence[Obj]],
        fail: Fail,
    ) -> None:
        self._collector = collector
        self._images = images
        self._thresholds = thresholds
        self._clock = clock
        self._pods = pods
        self._fail = fail
        self.pressure = Pressure()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self.check()
            except (RuntimeDriverError, TimeoutError, OSError) as error:
                log.warning("eviction_check_failed", error=str(error) or "no answer")
            await self._clock.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        """Look once: pods over their own limits go, then at most one pod per shortage that images cannot cure."""
        sample = self._collector.latest
        if sample is None:
            return
        summary = await self._collector.summary()
        usage = pod_usage(summary, sample)
        running = [p for p in self._pods() if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
        for pod in running:
            used = usage.get(pod["metadata"]["uid"])
            breach = limit_breach(pod, used) if used else ""
            if breach:
                self._evict(pod, breach)
                return
        found = shortages(sample, self._thresholds)
        self.pressure.note(found, self._clock.monotonic())
        for shortage in found:
            if shortage.resource == "ephemeral-storage" and await self._reclaim(shortage):
                continue
            self._evict_one(shortage, running, usage)
            return

    async def _reclaim(self, shortage: Shortage) -> bool:
        """Remove idle images; say whether that was enough."""
        wanted = shortage.floor - shortage.available
        return await self._images.collect(wanted) >= wanted

    def _evict_one(self, shortage: Shortage, pods: Sequence[Obj], usage: Mapping[str, PodUsage]) -> None:
        ranked = rank(pods, usage, shortage.resource)
        if not ranked:
            log.warning("nothing_to_evict", signal=shortage.signal, available=shortage.available)
            return
        pod = ranked[0]
        used = usage.get(pod["metadata"]["uid"])
        message = (
            eviction_message(pod, used, shortage.resource, shortage.available, shortage.floor)
            if used
            else f"The node was low on resource: {shortage.resource}. "
        )
        self._evict(pod, message)

    def _evict(self, pod: Obj, message: str) -> None:
        """End a pod at once: what is short has no time for grace periods."""
        meta = pod["metadata"]
        log.warning("pod_evicted", namespace=meta["namespace"], pod=meta["name"], why=message)
        self._fail(meta["uid"], Fate(EVICTED, message, grace_seconds=0, conditions=(DISRUPTED,)))
