"""Trees of files that containers write: own, measure and remove them without following their symlinks."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windlass.plugin.hostfs import mounts

READ_WRITE, READ_ONLY, ENTER = 0o660, 0o440, 0o110
BLOCK = 512


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """What a tree takes on its own file system."""

    bytes: int
    inodes: int


def give_to_group(path: str, gid: int, *, readonly: bool = False, only_on_mismatch: bool = False) -> None:
    """Give a tree to a group as `fsGroup` asks: files readable (and writable), directories set-group-ID.

    `only_on_mismatch` is `fsGroupChangePolicy: OnRootMismatch`: nothing when the top is right already.
    """
    if only_on_mismatch and not _mismatch(path, gid, readonly=readonly):
        return
    for parent, name in _entries(path):
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            _give_one(descriptor, gid, readonly=readonly)
        finally:
            os.close(descriptor)


def _mismatch(path: str, gid: int, *, readonly: bool) -> bool:
    found = Path(path).stat()
    wanted = _mask(found.st_mode, readonly=readonly)
    return found.st_gid != gid or stat.S_IMODE(found.st_mode) & wanted != wanted


def _mask(mode: int, *, readonly: bool) -> int:
    mask = READ_ONLY if readonly else READ_WRITE
    return mask | ENTER | stat.S_ISGID if stat.S_ISDIR(mode) else mask


def _give_one(descriptor: int, gid: int, *, readonly: bool) -> None:
    found = os.fstat(descriptor)
    # Owner and mode go through /proc: an O_PATH descriptor is the very inode, whatever its name is by now.
    through = f"/proc/self/fd/{descriptor}"
    if stat.S_ISLNK(found.st_mode):
        return
    if found.st_gid != gid:
        os.chown(through, -1, gid)
    Path(through).chmod(stat.S_IMODE(found.st_mode) | _mask(found.st_mode, readonly=readonly))


def _entries(path: str) -> Iterator[tuple[int, str]]:
    """Yield (descriptor of the parent, name) of everything in a tree, the top last."""
    for _, directories, files, descriptor in os.fwalk(path, follow_symlinks=False, topdown=False):
        for name in (*files, *directories):
            yield descriptor, name
    top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield top, "."
    finally:
        os.close(top)


def measure(path: str) -> TreeUsage:
    """Count what a tree takes; other file systems mounted in it are not its own, hard links count once."""
    seen: set[int] = set()
    top = Path(path).lstat()
    used, device = top.st_blocks * BLOCK, top.st_dev
    for _, _, names, descriptor in _walk_files(path, device):
        for name in names:
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if found.st_dev != device or found.st_ino in seen:
                continue
            seen.add(found.st_ino)
            used += found.st_blocks * BLOCK
    return TreeUsage(used, len(seen) + 1)


def _walk_files(path: str, device: int) -> Iterator[tuple[str, list[str], list[str], int]]:
    for where, directories, files, descriptor in os.fwalk(path, follow_symlinks=False):
        names = [*files, *directories]
        directories[:] = [name for name in directories if _on_device(descriptor, name, device)]
        yield where, directories, names, descriptor


def _on_device(parent: int, name: str, device: int) -> bool:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_dev == device
    except FileNotFoundError:
        return False


def remove(path: str) -> None:
    """Unmount what is mounted at and below a path, then remove the tree. Raises OSError; nothing there is fine."""
    if not os.path.lexists(path):
        return
    mounts.unmount_all(path)
    if mounts.mounts_at_or_below(path):
        raise OSError(f"{path}: something is still mounted there, so it is not removed")
    found = Path(path)
    if found.is_dir() and not found.is_symlink():
        shutil.rmtree(path)
    else:
        found.unlink()
