"""cgroup limits written directly, version 1 and 2. Standard library only: the shim imports this."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PARENT = "windlass"
PERIOD_MICROS = 100_000
V1_CONTROLLERS = ("cpu", "memory", "pids")


def is_unified(root: Path = ROOT) -> bool:
    """Say whether this machine has only version 2."""
    return (root / "cgroup.controllers").exists()


def limits_v1(resources: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Return controller -> file -> value. Pure."""
    values: dict[str, dict[str, str]] = {"cpu": {}, "memory": {}, "pids": {}}
    if resources.get("cpu_request_millis"):
        values["cpu"]["cpu.shares"] = str(max(2, resources["cpu_request_millis"] * 1024 // 1000))
    if resources.get("cpu_limit_millis"):
        values["cpu"]["cpu.cfs_period_us"] = str(PERIOD_MICROS)
        values["cpu"]["cpu.cfs_quota_us"] = str(resources["cpu_limit_millis"] * PERIOD_MICROS // 1000)
    if resources.get("memory_limit_bytes"):
        values["memory"]["memory.limit_in_bytes"] = str(resources["memory_limit_bytes"])
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
        values["cpu.max"] = f"{resources['cpu_limit_millis'] * PERIOD_MICROS // 1000} {PERIOD_MICROS}"
    if resources.get("memory_limit_bytes"):
        values["memory.max"] = str(resources["memory_limit_bytes"])
        values["memory.swap.max"] = "0"
    if resources.get("pids_limit"):
        values["pids.max"] = str(resources["pids_limit"])
    return values


def _groups(name: str, root: Path) -> list[Path]:
    if is_unified(root):
        return [root / PARENT / name]
    return [root / controller / PARENT / name for controller in V1_CONTROLLERS if (root / controller).is_dir()]


def apply(name: str, resources: Mapping[str, int], pid: int, root: Path = ROOT) -> None:
    """Make the groups, set the limits and put a process into them. Raises OSError: no limit is dropped in silence."""
    if is_unified(root):
        parent = root / PARENT
        parent.mkdir(exist_ok=True)
        for folder in (root, parent):
            (folder / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        _fill(parent / name, limits_v2(resources), pid)
        return
    for controller, values in limits_v1(resources).items():
        if (root / controller).is_dir():
            _fill(root / controller / PARENT / name, values, pid)
        elif values:
            raise OSError(f"this machine has no cgroup controller {controller}")


def _fill(group: Path, values: Mapping[str, str], pid: int) -> None:
    group.mkdir(parents=True, exist_ok=True)
    for file, value in values.items():
        if file != "memory.swap.max" or (group / file).exists():
            (group / file).write_text(value)
    (group / "cgroup.procs").write_text(str(pid))


def oom_kills(name: str, root: Path = ROOT) -> int:
    """Return how many processes of the group the kernel has killed for memory."""
    for group in _groups(name, root):
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                for line in (group / file).read_text().splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
    return 0


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the groups; one that is still in use stays for the next try."""
    for group in _groups(name, root):
        with contextlib.suppress(OSError):
            group.rmdir()
