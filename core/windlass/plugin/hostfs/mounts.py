"""Mounts of the host: make, find and undo them. Blocking, each call short; never follows a symlink to unmount."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
UMOUNT_NOFOLLOW = 8
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A line of `/proc/self/mountinfo`."""

    path: str
    kind: str
    source: str


def can_mount() -> bool:
    """Say whether this process may mount at all."""
    return os.geteuid() == 0


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount. Raises OSError naming the target."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def bind(source: str, target: str) -> None:
    """Show `source` at `target`, without the mounts below it."""
    mount(source, target, flags=MS_BIND)


def mount_tmpfs(target: str, *, size_bytes: int = 0, mode: int = 0o755) -> None:
    """Mount a file system in memory; size 0 is the kernel's default, half of the memory."""
    size = f",size={size_bytes}" if size_bytes else ""
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode:o}{size}")


def unmount(target: str) -> None:
    """Unmount what is on top at a path. Raises OSError, EBUSY while something uses it."""
    if _libc.umount2(os.fsencode(target), UMOUNT_NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unmount {target}: {os.strerror(number)}")


def mount_points(text: str | None = None, *, containing: str = "") -> list[MountPoint]:
    """Return this process' mounts in the order in which they were made; only those whose lines contain a text.

    A node has a line for every volume of every pod, and few of them are ever asked for.
    """
    whole = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape") if text is None else text
    if containing and containing not in whole:
        return []
    found = []
    for line in whole.splitlines():
        if containing not in line:
            continue
        before, _, after = line.partition(" - ")
        kind, source = after.split(" ")[:2]
        found.append(MountPoint(_unescaped(before.split(" ")[4]), kind, _unescaped(source)))
    return found


def mounts_at_or_below(path: str) -> list[MountPoint]:
    """Return the mounts at a path and beneath it, those made last first: the order to unmount them in."""
    real = os.path.realpath(path)
    below = real.rstrip("/") + "/"
    points = mount_points(containing=_escaped(real))
    return [m for m in reversed(points) if m.path == real or m.path.startswith(below)]


def mounted_kind(path: str) -> str:
    """Return the type of the file system that is mounted exactly at a path, '' when none is."""
    real = os.path.realpath(path)
    points = mount_points(containing=_escaped(real))
    return next((m.kind for m in reversed(points) if m.path == real), "")


def unmount_all(path: str) -> None:
    """Unmount everything at and below a path. Raises OSError for what is busy; nothing there is fine."""
    for point in mounts_at_or_below(path):
        unmount(point.path)


_ESCAPES = (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012"))


def _escaped(text: str) -> str:
    for char, code in _ESCAPES:
        text = text.replace(char, code)
    return text


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    if "\\" not in text:
        return text
    for char, code in reversed(_ESCAPES):
        text = text.replace(code, char)
    return text
