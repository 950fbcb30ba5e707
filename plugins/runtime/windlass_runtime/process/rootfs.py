"""A container's view of the file system, built inside its own mount namespace. Standard library only."""

import contextlib
import errno
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass_runtime.process import cgroups
from windlass_runtime.process import syscalls as sys_

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = (
    ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"), ("core", "/proc/kcore"),
)  # fmt: skip
SCRATCH_SIZE = "size=512m"
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
TTY_GROUP = 5


def enter(directory: Path, config: Mapping[str, Any]) -> None:
    """Leave the host's file system for the container's. Raises OSError naming the mount that failed."""
    sys_.unshare(sys_.CLONE_NEWNS)
    mounts = config.get("mounts") or ()
    for mount in mounts:
        if mount.get("propagation") == "rshared" and not is_shared(mount["host_path"]):
            raise OSError(f"path {mount['host_path']} is mounted on a file system that is not shared")
    copies = [sys_.clone_mount(mount["host_path"]) for mount in mounts]  # while they still hear of the host's mounts
    sys_.mount("none", "/", flags=sys_.MS_REC | sys_.MS_PRIVATE)
    root = directory / "root"
    root.mkdir(exist_ok=True)
    _overlay(directory, root, config["lower"], Path(config.get("layers_dir") or "/"))
    _kernel_file_systems(root, config)
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for mount, copy in sorted(zip(mounts, copies, strict=True), key=lambda m: m[0]["container_path"].count("/")):
        _bind(top, mount, copy)
    os.close(top)
    os.chdir(root)
    sys_.pivot_root()
    if not (config.get("privileged") or config.get("unmasked_proc")):
        _mask()
    if config.get("readonly_rootfs"):
        sys_.mount("none", "/", flags=sys_.MS_REMOUNT | sys_.MS_BIND | sys_.MS_RDONLY)


def is_shared(path: str, table: Path = Path("/proc/self/mountinfo")) -> bool:
    """Say whether mounts below a path travel to its other copies: the mount that it lies on is a shared one."""
    real = os.path.realpath(path)
    best, shared = "", False
    for line in table.read_text().splitlines():
        fields = line.split(" ")
        place = fields[4].replace("\\040", " ")
        if (real == place or real.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best, shared = place, any(option.startswith("shared:") for option in fields[6 : fields.index("-")])
    return shared


def _overlay(directory: Path, root: Path, lower: str, layers: Path) -> None:
    """Lay a writable layer over the image; over the host's own root it is in memory, as it may not lie inside it.

    Layers are named relative to their directory: the kernel takes one page of options, and images have many.
    """
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    if lower == "/":
        sys_.mount("tmpfs", str(scratch), "tmpfs", data=SCRATCH_SIZE)
    for name in ("upper", "work"):
        (scratch / name).mkdir(exist_ok=True)
    os.chdir(layers)
    data = f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work"
    try:
        # What a container wrote need not survive a crash of the machine, so its end need not wait for the disk.
        sys_.mount("overlay", str(root), "overlay", data=f"{data},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        sys_.mount("overlay", str(root), "overlay", data=data)


def _kernel_file_systems(root: Path, config: Mapping[str, Any]) -> None:
    """Mount proc, sys, and a small dev."""
    for name in ("proc", "sys", "dev"):
        (root / name).mkdir(exist_ok=True)
    hard = sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC
    readonly = 0 if config.get("privileged") else sys_.MS_RDONLY
    sys_.mount("proc", str(root / "proc"), "proc", hard)
    sys_.mount("sysfs", str(root / "sys"), "sysfs", hard | readonly)
    with contextlib.suppress(OSError):  # a kernel without cgroup namespaces: programs see no limits, nothing else
        cgroups.mount_inside(root / "sys/fs/cgroup", hard | readonly)
    dev = root / "dev"
    sys_.mount("tmpfs", str(dev), "tmpfs", sys_.MS_NOSUID, "mode=755,size=64k")
    (dev / "pts").mkdir()
    sys_.mount(
        "devpts",
        str(dev / "pts"),
        "devpts",
        sys_.MS_NOSUID | sys_.MS_NOEXEC,
        f"newinstance,ptmxmode=0666,mode=0620,gid={TTY_GROUP}",
    )
    (dev / "shm").mkdir(mode=0o1777)
    if config.get("shm"):
        sys_.mount(config["shm"], str(dev / "shm"), flags=sys_.MS_BIND)
    else:
        sys_.mount("tmpfs", str(dev / "shm"), "tmpfs", sys_.MS_NOSUID | sys_.MS_NODEV, "mode=1777,size=64m")
    (dev / "mqueue").mkdir()
    sys_.mount("mqueue", str(dev / "mqueue"), "mqueue", hard)
    for name, target in LINKS:
        (dev / name).symlink_to(target)
    _devices(dev, config)


def _devices(dev: Path, config: Mapping[str, Any]) -> None:
    """Make the nodes that every program expects and those asked for; all of the host's for a privileged container."""
    os.umask(0)
    for name in DEVICES:
        os.mknod(dev / name, 0o666 | stat.S_IFCHR, Path("/dev", name).stat().st_rdev)
    asked = [(d["host_path"], d["container_path"]) for d in config.get("devices") or ()]
    if config.get("privileged"):
        asked += [(entry.path, entry.path) for entry in os.scandir("/dev") if not (dev / entry.name).exists()]
    for host_path, container_path in asked:
        found = Path(host_path).lstat() if config.get("privileged") else Path(host_path).stat()
        if stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode):
            relative = container_path.removeprefix("/dev/")
            if relative == container_path or ".." in relative:
                raise OSError(f"device {container_path} does not lie under /dev")
            place = dev / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(place, found.st_mode, found.st_rdev)
            os.chown(place, found.st_uid, found.st_gid)
        elif not config.get("privileged"):
            raise OSError(f"{host_path} is not a device")
    os.umask(0o022)


def _bind(root: int, mount: Mapping[str, Any], copy: int) -> None:
    """Put a copy of a host path where the container wants it, making the place for it; never outside the root."""
    is_directory = stat.S_ISDIR(os.fstat(copy).st_mode)
    target = make_place(root, mount["container_path"], directory=is_directory)
    try:
        if mount.get("readonly"):
            sys_.set_mount(copy, readonly=True, recursive=bool(mount.get("recursive_readonly")))
        if mount.get("propagation") == "rslave":
            sys_.set_mount(copy, propagation=sys_.MS_SLAVE)
        elif mount.get("propagation") != "rshared":
            sys_.set_mount(copy, propagation=sys_.MS_PRIVATE)
        sys_.attach_mount(copy, target, mount["container_path"])
    finally:
        os.close(target)
        os.close(copy)


def make_place(root: int, path: str, *, directory: bool) -> int:
    """Return a descriptor of a path below `root`, made where it is missing. Symlinks lead nowhere outside."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    current = os.dup(root)
    for count, part in enumerate(parts, start=1):
        last = count == len(parts)
        try:
            found = sys_.open_in_root(root, "/".join(parts[:count]))
        except FileNotFoundError:
            if directory or not last:
                os.mkdir(part, 0o755, dir_fd=current)
            else:
                os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=current))
            found = sys_.open_in_root(root, "/".join(parts[:count]))
        os.close(current)
        current = found
    return current


def _mask() -> None:
    """Hide what tells of the host, and make what changes it read-only."""
    for path in MASKED:
        found = Path(path)
        if found.is_dir():
            sys_.mount("tmpfs", path, "tmpfs", sys_.MS_RDONLY, "size=0k,mode=555")
        elif found.exists():
            sys_.mount("/dev/null", path, flags=sys_.MS_BIND)
    for path in READONLY:
        if Path(path).exists():
            sys_.mount(path, path, flags=sys_.MS_BIND | sys_.MS_REC)
            flags = sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC
            sys_.mount("none", path, flags=sys_.MS_REMOUNT | sys_.MS_BIND | sys_.MS_RDONLY | flags)


def lower_of(layers: Sequence[str]) -> str:
    """Return overlayfs' `lowerdir` of layers from the lowest up. Pure."""
    return ":".join(reversed(layers))
