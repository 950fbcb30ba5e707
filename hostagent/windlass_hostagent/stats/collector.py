"""Looks at the machine and its containers every few seconds and keeps the last two looks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.clock import Clock
from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass_hostagent.stats.sample import NodeSample, read_node
from windlass_hostagent.stats.summary import build_summary

Obj = dict[str, Any]
HOUSEKEEPING_SECONDS = 10.0
RUNTIME_TIMEOUT_SECONDS = 8.0
VolumeUsageReader = Callable[[], Awaitable[Mapping[str, Sequence[Obj]]]]
log = get_logger(__name__)


class StatsCollector:
    """Samples until cancelled. `pods` returns this node's pods; `volumes` the usage of their volumes by pod uid."""

    def __init__(
        self,
        *,
        node_name: str,
        data_dir: Path,
        runtime: RuntimeDriver,
        clock: Clock,
        pods: Callable[[], Sequence[Obj]],
        volumes: VolumeUsageReader,
    ) -> None:
        self._node_name = node_name
        self._data_dir = data_dir
        self._runtime = runtime
        self._clock = clock
        self._pods = pods
        self._volumes = volumes
        self._before: NodeSample | None = None
        self._now: NodeSample | None = None
        self._used: Mapping[str, Sequence[Obj]] = {}

    @property
    def latest(self) -> NodeSample | None:
        """The last look; None before the first."""
        return self._now

    async def run(self) -> None:
        """Sample until cancelled; a runtime that does not answer costs one sample."""
        while True:
            try:
                await self.sample()
            except (RuntimeDriverError, TimeoutError, OSError) as error:
                log.warning("stats_not_read", error=str(error) or "no answer")
            await self._clock.sleep(HOUSEKEEPING_SECONDS)

    async def sample(self) -> NodeSample:
        """Look once. Raises RuntimeDriverError, TimeoutError, OSError."""
        async with asyncio.timeout(RUNTIME_TIMEOUT_SECONDS):
            containers = await self._runtime.container_stats()
            status = await self._runtime.status()
        now = await asyncio.to_thread(read_node, self._data_dir, status.image_filesystem, containers)
        self._used = await self._volumes()
        self._before, self._now = self._now, now
        return now

    async def summary(self) -> Obj:
        """Return the Summary of the last two looks, after a first one if there was none. Raises as `sample` does."""
        now = self._now or await self.sample()
        pods = {p["metadata"]["uid"]: p for p in self._pods()}
        return build_summary(self._node_name, now, self._before, pods, self._used)
