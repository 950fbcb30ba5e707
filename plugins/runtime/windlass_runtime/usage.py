"""What a container uses, read from the cgroups of its first process, version 1 and 2. A runtime's API costs far more."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU in nanoseconds since the container's start; memory in bytes."""

    cpu_nanoseconds: int
    memory_bytes: int
    working_set_bytes: int
    rss_bytes: int
    pids: int


def parse_cgroups(text: str) -> dict[str, str]:
    """Parse /proc/PID/cgroup into controller -> path; version 2's is under the empty name. Pure."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def parse_stat(text: str) -> dict[str, int]:
    """Parse a flat keyed file such as memory.stat. Pure."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _stat(path: Path) -> dict[str, int]:
    try:
        return parse_stat(path.read_text())
    except OSError:
        return {}


def _v1(groups: Mapping[str, str], root: Path) -> Usage:
    def file(controller: str, name: str) -> Path:
        return root / controller / groups.get(controller, "/").lstrip("/") / name

    memory = _number(file("memory", "memory.usage_in_bytes"))
    stat = _stat(file("memory", "memory.stat"))
    return Usage(
        cpu_nanoseconds=_number(file("cpuacct", "cpuacct.usage")),
        memory_bytes=memory,
        working_set_bytes=max(0, memory - stat.get("total_inactive_file", 0)),
        rss_bytes=stat.get("total_rss", 0),
        pids=_number(file("pids", "pids.current")),
    )


def _v2(path: str, root: Path) -> Usage:
    group = root / path.lstrip("/")
    memory = _number(group / "memory.current")
    stat = _stat(group / "memory.stat")
    return Usage(
        cpu_nanoseconds=_stat(group / "cpu.stat").get("usage_usec", 0) * 1000,
        memory_bytes=memory,
        working_set_bytes=max(0, memory - stat.get("inactive_file", 0)),
        rss_bytes=stat.get("anon", 0),
        pids=_number(group / "pids.current"),
    )


def read_usage(pid: int, *, root: Path = CGROUPS, proc: Path = PROC) -> Usage | None:
    """Measure the cgroups of a process; None when it has gone. Blocking, some ten small files."""
    try:
        groups = parse_cgroups((proc / str(pid) / "cgroup").read_text())
    except OSError:
        return None
    if "memory" in groups:
        return _v1(groups, root)
    return _v2(groups[""], root) if "" in groups else None


def tree_bytes(folder: Path) -> int:
    """Add up what the files below a folder take on disk; each hard-linked file once. Blocking."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                info = os.lstat(f"{where}/{name}")
            except OSError:
                continue
            if info.st_nlink > 1 and (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            total += info.st_blocks * 512
    return total
