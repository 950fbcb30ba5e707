"""What a node does for itself: measures, collects images, evicts, runs static pods. Built once by the agent."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass_hostagent.context import AgentContext
from windlass_hostagent.eviction.manager import EvictionManager
from windlass_hostagent.eviction.thresholds import DEFAULT_HARD, Threshold, parse_thresholds
from windlass_hostagent.node.image_gc import ImageGarbageCollector, ImageGcPolicy
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.shutdown.plan import ShutdownPolicy
from windlass_hostagent.stats.collector import StatsCollector, VolumeUsageReader

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CareSettings:
    """How a node cares for itself. `reserved` is kept from pods; `static_pods` is the directory of their manifests."""

    thresholds: Sequence[Threshold] = field(default_factory=lambda: parse_thresholds(DEFAULT_HARD))
    reserved: Sequence[Mapping[str, str]] = ()
    image_gc: ImageGcPolicy = field(default_factory=ImageGcPolicy)
    static_pods: Path | None = None
    shutdown: ShutdownPolicy = field(default_factory=ShutdownPolicy)


async def no_volumes() -> Mapping[str, Sequence[Obj]]:
    """Tell of no volumes: what a node without volume drivers measures."""
    return {}


class NodeCare:
    """The parts, joined. `pods` returns the node's pods; `fail(uid, fate)` ends one."""

    def __init__(
        self,
        context: AgentContext,
        settings: CareSettings,
        *,
        pods: Callable[[], Sequence[Obj]],
        fail: Callable[[str, Fate], bool],
        volumes: VolumeUsageReader = no_volumes,
    ) -> None:
        self.stats = StatsCollector(
            node_name=context.node_name,
            data_dir=context.data_dir,
            runtime=context.runtime,
            clock=context.clock,
            pods=pods,
            volumes=volumes,
        )
        self.images = ImageGarbageCollector(
            context.runtime, context.clock, lambda: self.stats.latest, settings.image_gc
        )
        self.evictions = EvictionManager(
            collector=self.stats,
            images=self.images,
            thresholds=settings.thresholds,
            clock=context.clock,
            pods=pods,
            fail=fail,
        )
        self._clock = context.clock

    def pressure(self) -> dict[str, bool]:
        """Return the node's pressure conditions."""
        return self.evictions.pressure.conditions(self._clock.monotonic())

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin the loops in the agent's task group."""
        group.create_task(self.stats.run(), name="stats")
        group.create_task(self.images.run(), name="image-gc")
        group.create_task(self.evictions.run(), name="eviction")
