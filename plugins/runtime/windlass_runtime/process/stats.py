"""What containers use, from cgroups of either version; without cgroups from /proc. Blocking, quick."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerStats, ContainerStatus
from windlass_runtime.process import cgroups
from windlass_runtime.process.crilog import MAX_FILES, rotated

DISK_SECONDS = 15.0
"""How long a measured disk use is good for: measuring walks every written file."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU in nanoseconds, memory in bytes."""

    cpu: int = 0
    memory: int = 0
    working_set: int = 0
    rss: int = 0
    pids: int = 0


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _table(path: Path) -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        return {key: int(value) for key, _, value in (line.partition(" ") for line in path.read_text().splitlines())}
    return {}


def group_usage(group: str, root: Path = cgroups.ROOT) -> Usage:
    """Return a group's use; zeros for one that is gone."""
    memory = cgroups.folder(group, "memory", root)
    table = _table(memory / "memory.stat")
    pids = _number(cgroups.folder(group, "pids", root) / "pids.current")
    if cgroups.is_unified(root):
        used, inactive, rss = _number(memory / "memory.current"), table.get("inactive_file", 0), table.get("anon", 0)
        cpu = _table(memory / "cpu.stat").get("usage_usec", 0) * 1000
    else:
        used, inactive = _number(memory / "memory.usage_in_bytes"), table.get("total_inactive_file", 0)
        rss, cpu = table.get("total_rss", 0), _number(cgroups.folder(group, "cpuacct", root) / "cpuacct.usage")
    return Usage(cpu, used, max(0, used - inactive), rss, pids)


def session_usage(leader: int, proc: Path = Path("/proc")) -> Usage:
    """Return the use of a session's living processes, for containers without cgroups."""
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGE_SIZE")
    cpu = rss = pids = 0
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                cpu += (int(fields[11]) + int(fields[12])) * tick
                rss += int(fields[21]) * page
                pids += 1
    return Usage(cpu, rss, rss, rss, pids)


def disk_usage(directory: Path) -> int:
    """Return the blocks that a tree holds, in bytes; hard links count once."""
    total = 0
    seen: set[int] = set()
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - walks quickly
                if found.st_ino not in seen:
                    total += found.st_blocks * 512
                if found.st_nlink > 1:
                    seen.add(found.st_ino)
    return total


@dataclass(slots=True)
class StatsReader:
    """Measures containers; disk use only so often."""

    _disk: dict[str, tuple[float, int]] = field(default_factory=dict)

    def read(self, found: ContainerStatus, config: Mapping[str, Any], directory: Path, now: float) -> ContainerStats:
        """Measure one running container."""
        usage = group_usage(config["cgroup"]) if config["cgroups"] else session_usage(found.pid)
        log = Path(config["log_path"])
        parts = [log, *(rotated(log, number) for number in range(1, MAX_FILES))]
        return ContainerStats(
            container_id=found.id,
            name=found.name,
            labels=found.labels,
            timestamp=now,
            cpu_usage_nanoseconds=usage.cpu,
            memory_usage_bytes=usage.memory,
            memory_working_set_bytes=usage.working_set,
            memory_rss_bytes=usage.rss,
            rootfs_bytes=self._written(found, config, directory, now),
            log_bytes=sum(part.lstat().st_size for part in parts if os.path.lexists(part)),
            pids=usage.pids,
        )

    def _written(self, found: ContainerStatus, config: Mapping[str, Any], directory: Path, now: float) -> int:
        """Return what the container wrote; -1 where nobody can tell, as it writes on the host itself."""
        if not config["namespaces"]:
            return -1
        if config["lower"] == "/":  # its layer is in memory, in its own mount namespace: ask through its root
            with contextlib.suppress(OSError):
                held = os.statvfs(f"/proc/{found.pid}/root/")
                return (held.f_blocks - held.f_bfree) * held.f_frsize
            return -1
        when, size = self._disk.get(found.id, (0.0, 0))
        if now - when >= DISK_SECONDS:
            size = disk_usage(directory / "scratch" / "upper")
            self._disk[found.id] = (now, size)
        return size

    def forget(self, container_id: str) -> None:
        """Drop what is remembered of a removed container."""
        self._disk.pop(container_id, None)
