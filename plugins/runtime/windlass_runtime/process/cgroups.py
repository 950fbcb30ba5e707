"""cgroups written directly, version 1 and 2. A group is named by its path below each hierarchy. Standard library only."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from windlass_runtime.process import device_filter
from windlass_runtime.process import syscalls as sys_

ROOT = Path("/sys/fs/cgroup")
PARENT = "windlass"
PERIOD_MICROS = 100_000
V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "devices")
TRACKING = "pids"
"""The version 1 hierarchy by which processes are found and killed."""
V2_CONTROLLERS = ("cpu", "memory", "pids")
KILL_ROUNDS = 200
KILL_PAUSE_SECONDS = 0.01
REMOVE_ROUNDS = 20
DEVICES = ("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
           "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm")  # fmt: skip
"""What every container may use: null, zero, full, random, urandom, tty, console, ptmx, pts; mknod of anything."""


def is_unified(root: Path = ROOT) -> bool:
    """Say whether this machine has only version 2."""
    return (root / "cgroup.controllers").exists()


def group_of(parent: str, name: str) -> str:
    """Return a group's path. Raises ValueError for a parent that leads elsewhere. Pure."""
    parts = [part for part in (parent or PARENT).split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ValueError(f"cgroup parent {parent!r} is not a plain path")
    return "/".join([*parts, name])


def limits_v1(resources: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Return controller -> file -> value. Pure."""
    values: dict[str, dict[str, str]] = {controller: {} for controller in V1_CONTROLLERS}
    if resources.get("cpu_request_millis"):
        values["cpu"]["cpu.shares"] = str(max(2, resources["cpu_request_millis"] * 1024 // 1000))
    if resources.get("cpu_limit_millis"):
        values["cpu"]["cpu.cfs_period_us"] = str(PERIOD_MICROS)
        values["cpu"]["cpu.cfs_quota_us"] = str(max(1000, resources["cpu_limit_millis"] * PERIOD_MICROS // 1000))
    if resources.get("memory_limit_bytes"):
        values["memory"]["memory.limit_in_bytes"] = str(resources["memory_limit_bytes"])
        values["memory"]["memory.memsw.limit_in_bytes"] = str(resources["memory_limit_bytes"])
    if resources.get("pids_limit"):
        values["pids"]["pids.max"] = str(resources["pids_limit"])
    return values


def limits_v2(resources: Mapping[str, int]) -> dict[str, str]:
    """Return file -> value. Pure; weights as runc converts shares."""
    values: dict[str, str] = {}
    if resources.get("cpu_request_millis"):
        shares = max(2, resources["cpu_request_millis"] * 1024 // 1000)
        values["cpu.weight"] = str(max(1, min(10000, 1 + (shares - 2) * 9999 // 262142)))
    if resources.get("cpu_limit_millis"):
        quota = max(1000, resources["cpu_limit_millis"] * PERIOD_MICROS // 1000)
        values["cpu.max"] = f"{quota} {PERIOD_MICROS}"
    if resources.get("memory_limit_bytes"):
        values["memory.max"] = str(resources["memory_limit_bytes"])
        values["memory.swap.max"] = "0"
    if resources.get("pids_limit"):
        values["pids.max"] = str(resources["pids_limit"])
    return values


OPTIONAL = ("memory.swap.max", "memory.memsw.limit_in_bytes")
"""Files that only exist where the kernel accounts swap."""


def folders(group: str, root: Path = ROOT) -> list[Path]:
    """Return a group's directories, one per hierarchy."""
    if is_unified(root):
        return [root / group]
    return [root / controller / group for controller in V1_CONTROLLERS if (root / controller).is_dir()]


def folder(group: str, controller: str, root: Path = ROOT) -> Path:
    """Return a group's directory in the hierarchy of a controller."""
    return root / group if is_unified(root) else root / controller / group


def create(group: str, resources: Mapping[str, int], devices: Sequence[str] | None, root: Path = ROOT) -> None:
    """Make the groups and set the limits. `devices` None leaves them all.

    Raises OSError: no limit is dropped in silence.
    """
    if is_unified(root):
        made = root
        for part in group.split("/"):
            wanted = "+" + " +".join(V2_CONTROLLERS)
            (made / "cgroup.subtree_control").write_text(wanted)
            made /= part
            made.mkdir(exist_ok=True)
        _fill(made, limits_v2(resources))
        if devices is not None:
            device_filter.confine(made, [*DEVICES, *devices])
        return
    for controller, values in limits_v1(resources).items():
        if (root / controller).is_dir():
            made = root / controller / group
            made.mkdir(parents=True, exist_ok=True)
            _fill(made, values)
            if controller == "devices" and devices is not None:
                _confine_devices(made, devices)
        elif values:
            raise OSError(f"this machine has no cgroup controller {controller}")


def _fill(group: Path, values: Mapping[str, str]) -> None:
    for file, value in values.items():
        if file not in OPTIONAL or (group / file).exists():
            (group / file).write_text(value)


def _confine_devices(group: Path, devices: Sequence[str]) -> None:
    (group / "devices.deny").write_text("a")
    for rule in (*DEVICES, *devices):
        (group / "devices.allow").write_text(rule)


def device_rules(devices: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the rules of the devices asked for. Raises OSError for a path without one."""
    rules = []
    for device in devices:
        found = Path(device["host_path"]).stat()
        kind = "b" if (found.st_mode & 0o170000) == 0o060000 else "c"
        numbers = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        rules.append(f"{kind} {numbers} {device['permissions'] or 'rwm'}")
    return rules


def join(group: str, pid: int, root: Path = ROOT) -> None:
    """Put a process into the groups. Raises OSError."""
    for directory in folders(group, root):
        (directory / "cgroup.procs").write_text(str(pid))


def join_child(group: str, name: str, pid: int, root: Path = ROOT) -> Path:
    """Put a process into the groups, and in one hierarchy into a group of its own below; return that one.

    What the process starts stays there, so that all of it can be found and killed.
    """
    join(group, pid, root)
    own = folder(group, TRACKING, root) / name
    own.mkdir(exist_ok=True)
    (own / "cgroup.procs").write_text(str(pid))
    return own


def members(directory: Path) -> Iterator[int]:
    """Yield the processes of a group and the groups below."""
    for place, _, _ in os.walk(directory):
        with contextlib.suppress(OSError):
            yield from (int(line) for line in (Path(place) / "cgroup.procs").read_text().split())


def kill(directory: Path) -> None:
    """Kill every process of a group and the groups below, and wait for them; forks are stopped first.

    Raises OSError when some outlive it, which only a process in uninterruptible sleep does.
    """
    if not directory.is_dir():
        return
    with contextlib.suppress(OSError):
        (directory / "pids.max").write_text("0")
    if (directory / "cgroup.kill").exists():
        (directory / "cgroup.kill").write_text("1")
    for _ in range(KILL_ROUNDS):
        left = [pid for pid in members(directory) if pid > 0]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(KILL_PAUSE_SECONDS)
    raise OSError(f"processes of {directory.name} outlived KILL")


def leave(own: Path) -> None:
    """Remove a group of `join_child`; what still runs in it (a daemon that somebody started) moves up."""
    with contextlib.suppress(OSError):
        for pid in members(own):
            with contextlib.suppress(OSError):
                (own.parent / "cgroup.procs").write_text(str(pid))
        own.rmdir()


def oom_kills(group: str, root: Path = ROOT) -> int:
    """Return how many processes of the group the kernel has killed for memory."""
    directory = folder(group, "memory", root)
    for file in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in (directory / file).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def oom_watch(group: str, root: Path = ROOT) -> int:
    """Return a descriptor that becomes readable when the kernel kills for memory; read it to arm it again.

    An eventfd of version 1's oom_control, or inotify of version 2's memory.events. Raises OSError.
    """
    directory = folder(group, "memory", root)
    if is_unified(root):
        descriptor = sys_.inotify_open()
        sys_.inotify_watch(descriptor, str(directory / "memory.events"), sys_.IN_MODIFY)
        return descriptor
    with (directory / "memory.oom_control").open() as control:
        descriptor = sys_.eventfd()
        (directory / "cgroup.event_control").write_text(f"{descriptor} {control.fileno()}")
    return descriptor


def remove(group: str, root: Path = ROOT) -> None:
    """Remove the groups with those below, killing what is still in them; one that stays in use is left."""
    for directory in folders(group, root):
        for _ in range(REMOVE_ROUNDS):
            if _remove_tree(directory):
                break
            with contextlib.suppress(OSError):
                kill(directory)
            time.sleep(KILL_PAUSE_SECONDS)


def _remove_tree(directory: Path) -> bool:
    """Say whether the tree is gone; the kernel may hold a group for a moment after its last process."""
    for place, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):
            Path(place).rmdir()
    return not directory.exists()


def mount_inside(target: Path, flags: int) -> None:
    """Mount a container's own view of its groups, where programs look for their limits. Raises OSError."""
    sys_.unshare(sys_.CLONE_NEWCGROUP)
    if is_unified():
        sys_.mount("cgroup2", str(target), "cgroup2", flags)
        return
    sys_.mount("tmpfs", str(target), "tmpfs", flags & ~sys_.MS_RDONLY, "mode=755,size=16k")
    for controller in V1_CONTROLLERS:
        if (ROOT / controller).is_dir():
            (target / controller).mkdir()
            sys_.mount("cgroup", str(target / controller), "cgroup", flags, controller)
    sys_.mount("none", str(target), "", flags | sys_.MS_REMOUNT | sys_.MS_BIND)
