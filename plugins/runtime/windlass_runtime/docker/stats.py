"""What Docker's containers use: from their cgroups, their written layer and their log files."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.clock import Clock
from windlass.plugin.interfaces.runtime import ContainerStats
from windlass_runtime.docker import translate
from windlass_runtime.usage import Usage, read_usage, tree_bytes

DISK_SECONDS = 60.0
"""Walking a written layer is slow, and what it says changes slowly."""


class StatsReader:
    """Measures containers from their inspect results; remembers disk use for a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._disk: dict[str, tuple[float, int, int]] = {}

    async def read(self, containers: Sequence[Mapping[str, Any]]) -> list[ContainerStats]:
        """Measure every container that runs."""
        running = [a for a in containers if a["State"].get("Running")]
        found = await asyncio.to_thread(self._read_all, running)
        kept = {a["Id"] for a in running}
        self._disk = {k: v for k, v in self._disk.items() if k in kept}
        return found

    def _read_all(self, containers: Sequence[Mapping[str, Any]]) -> list[ContainerStats]:
        stats = []
        for attrs in containers:
            usage = read_usage(int(attrs["State"].get("Pid") or 0))
            if usage is not None:
                stats.append(self._stats(attrs, usage))
        return stats

    def _stats(self, attrs: Mapping[str, Any], usage: Usage) -> ContainerStats:
        rootfs, logs = self._disk_of(attrs)
        labels = attrs["Config"].get("Labels") or {}
        return ContainerStats(
            container_id=attrs["Id"],
            name=labels.get(translate.NAME, ""),
            labels=translate.user_labels(labels),
            timestamp=self._clock.now().timestamp(),
            cpu_usage_nanoseconds=usage.cpu_nanoseconds,
            memory_usage_bytes=usage.memory_bytes,
            memory_working_set_bytes=usage.working_set_bytes,
            memory_rss_bytes=usage.rss_bytes,
            rootfs_bytes=rootfs,
            log_bytes=logs,
            pids=usage.pids,
        )

    def _disk_of(self, attrs: Mapping[str, Any]) -> tuple[int, int]:
        now = self._clock.monotonic()
        known = self._disk.get(attrs["Id"])
        if known is None or now - known[0] >= DISK_SECONDS:
            layer = ((attrs.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir", "")
            rootfs = tree_bytes(Path(layer)) if layer and Path(layer).is_dir() else -1
            known = (now, rootfs, log_bytes(str(attrs.get("LogPath") or "")))
            self._disk[attrs["Id"]] = known
        return known[1], known[2]


def log_bytes(path: str) -> int:
    """Add up a log file and its rotated predecessors; -1 when there is none to be seen."""
    if not path:
        return -1
    log = Path(path)
    sizes = [p.stat().st_size for p in log.parent.glob(f"{log.name}*") if p.is_file()]
    return sum(sizes) if sizes else -1
