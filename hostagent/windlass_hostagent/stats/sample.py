"""What one look at the machine and its containers finds. Plain data; the summary and the pressure read nothing else."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.plugin.interfaces.runtime import ContainerStats
from windlass_hostagent.node.fingerprint import parse_meminfo

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class MemorySample:
    """The machine's memory in bytes. `working_set` is what is not available any more."""

    total: int
    available: int

    @property
    def working_set(self) -> int:
        """Return what processes use and cannot be taken back."""
        return max(0, self.total - self.available)


@dataclass(frozen=True, slots=True)
class FilesystemSample:
    """One file system: bytes and inodes, all and available (to users without special rights)."""

    path: str
    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int


@dataclass(frozen=True, slots=True)
class NodeSample:
    """The machine at one moment. `cpu_nanoseconds` counts busy time of all cores since boot; `time` is UNIX seconds."""

    time: float
    cpu_nanoseconds: int
    memory: MemorySample
    nodefs: FilesystemSample
    imagefs: FilesystemSample
    max_pids: int
    pids: int
    containers: Sequence[ContainerStats] = ()


def read_filesystem(path: Path | str) -> FilesystemSample:
    """Measure the file system on which a path lies. Raises OSError."""
    found = os.statvfs(path)
    return FilesystemSample(
        path=str(path),
        capacity=found.f_blocks * found.f_frsize,
        available=found.f_bavail * found.f_frsize,
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        inodes=found.f_files,
        inodes_free=found.f_ffree,
    )


def parse_cpu(text: str) -> int:
    """Return the busy nanoseconds of the first line of /proc/stat: all but idle and iowait. Pure."""
    numbers = [int(n) for n in text.split("\n", 1)[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) * NANOSECONDS_PER_TICK


def parse_tasks(loadavg: str) -> int:
    """Return how many tasks exist, from /proc/loadavg. Pure."""
    fields = loadavg.split()
    return int(fields[3].partition("/")[2]) if len(fields) > 3 else 0


def read_node(data_dir: Path, image_filesystem: str = "", containers: Sequence[ContainerStats] = ()) -> NodeSample:
    """Look at this machine. Blocking, quick. Raises OSError."""
    memory = parse_meminfo(Path("/proc/meminfo").read_text())
    nodefs = read_filesystem(data_dir)
    return NodeSample(
        time=time.time(),
        cpu_nanoseconds=parse_cpu(Path("/proc/stat").read_text()),
        memory=MemorySample(memory.get("MemTotal", 0) * 1024, memory.get("MemAvailable", 0) * 1024),
        nodefs=nodefs,
        imagefs=read_filesystem(image_filesystem) if image_filesystem else nodefs,
        max_pids=int(Path("/proc/sys/kernel/pid_max").read_text()),
        pids=parse_tasks(Path("/proc/loadavg").read_text()),
        containers=containers,
    )
