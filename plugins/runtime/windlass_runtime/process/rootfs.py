"""A container's view of the file system, built inside its own mount namespace. Standard library only."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass_runtime.process import syscalls as sys_

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SCRATCH_SIZE = "size=512m"
MASKED = ("/proc/kcore", "/proc/sysrq-trigger")
DEFAULT_CAPABILITIES = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "NET_RAW",
     "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"}
)  # fmt: skip
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip


def enter(directory: Path, config: Mapping[str, Any]) -> None:
    """Leave the host's file system for the container's. Raises OSError naming the mount that failed."""
    sys_.unshare(sys_.CLONE_NEWNS)
    sys_.mount("none", "/", flags=sys_.MS_REC | sys_.MS_PRIVATE)
    root = directory / "root"
    root.mkdir(exist_ok=True)
    _overlay(directory, root, Path(config["lower"]))
    _kernel_file_systems(root)
    for mount in config.get("mounts") or ():
        _bind(root, mount)
    os.chdir(root)
    sys_.pivot_root()
    for path in MASKED:
        if Path(path).exists():
            sys_.mount("/dev/null", path, flags=sys_.MS_BIND)
    if config.get("readonly_rootfs"):
        sys_.mount("none", "/", flags=sys_.MS_REMOUNT | sys_.MS_BIND | sys_.MS_RDONLY)


def _overlay(directory: Path, root: Path, lower: Path) -> None:
    """Lay a writable layer over the image; over the host's own root it is in memory, as it may not lie inside it."""
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    if lower == Path("/"):
        sys_.mount("tmpfs", str(scratch), "tmpfs", data=SCRATCH_SIZE)
    for name in ("upper", "work"):
        (scratch / name).mkdir(exist_ok=True)
    options = f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work"
    sys_.mount("overlay", str(root), "overlay", data=options)


def _kernel_file_systems(root: Path) -> None:
    """Mount proc, sys, and a small dev."""
    for name in ("proc", "sys", "dev"):
        (root / name).mkdir(exist_ok=True)
    hard = sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC
    sys_.mount("proc", str(root / "proc"), "proc", hard)
    sys_.mount("sysfs", str(root / "sys"), "sysfs", hard | sys_.MS_RDONLY)
    sys_.mount("tmpfs", str(root / "dev"), "tmpfs", sys_.MS_NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        target = root / "dev" / name
        target.touch()
        sys_.mount(f"/dev/{name}", str(target), flags=sys_.MS_BIND)
    for name, target_name in (("fd", "/proc/self/fd"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
        (root / "dev" / name).symlink_to(target_name)
    (root / "dev" / "shm").mkdir()
    sys_.mount("tmpfs", str(root / "dev" / "shm"), "tmpfs", sys_.MS_NOSUID | sys_.MS_NODEV, "size=64m")


def _inside(root: Path, path: str) -> Path:
    """Resolve a container path without following a symlink out of the root. Raises OSError."""
    resolved = (root / path.lstrip("/")).resolve()
    if resolved != root.resolve() and root.resolve() not in resolved.parents:
        raise OSError(f"mount path {path} leads outside the container")
    return resolved


def _bind(root: Path, mount: Mapping[str, Any]) -> None:
    """Bind a host path, making the place for it."""
    source, target = mount["host_path"], _inside(root, mount["container_path"])
    if stat.S_ISDIR(Path(source).stat().st_mode):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    sys_.mount(source, str(target), flags=sys_.MS_BIND | sys_.MS_REC)
    if mount.get("readonly"):
        sys_.mount("none", str(target), flags=sys_.MS_REMOUNT | sys_.MS_BIND | sys_.MS_RDONLY)


def allowed_capabilities(add: Sequence[str], drop: Sequence[str]) -> set[str]:
    """Return the capabilities that stay. Pure."""
    kept = set() if "ALL" in drop else set(DEFAULT_CAPABILITIES)
    kept |= set(CAPABILITIES) if "ALL" in add else {name.removeprefix("CAP_") for name in add}
    return kept - {name.removeprefix("CAP_") for name in drop}


def drop_capabilities(add: Sequence[str], drop: Sequence[str]) -> None:
    """Take every other capability out of the bounding set, which the program's exec then honours."""
    kept = allowed_capabilities(add, drop)
    for number, name in enumerate(CAPABILITIES):
        if name not in kept:
            sys_.prctl(sys_.PR_CAPBSET_DROP, number)


def set_user(text: str, *, root: Path = Path("/")) -> None:
    """Become `user[:group]`, names looked up in the container's own files. Raises OSError for unknown names."""
    user, _, group = text.partition(":")
    uid, gid = _look_up(root / "etc/passwd", user, 3)
    if group:
        gid = _look_up(root / "etc/group", group, 2)[0]
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _look_up(file: Path, name: str, second: int) -> tuple[int, int]:
    """Return the id (field 2) and another field of the entry; a number that is not listed stands for itself."""
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        fields = line.split(":")
        if len(fields) > second and name in (fields[0], fields[2]):
            return int(fields[2]), int(fields[second])
    if name.isdigit():
        return int(name), 0
    raise OSError(f"no user or group named {name} in the image")
