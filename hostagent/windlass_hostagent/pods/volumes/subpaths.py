"""Parts of volumes (`subPath`) as mounts of their own, safe against whoever can write to the volume (faults N67).

The part is opened beneath the volume by the kernel, and what was opened is bind-mounted by its descriptor to a place that
only the agent writes to; the runtime mounts that place. A container that swaps directories and symlinks meanwhile can
change which part of its own volume is mounted, never reach outside of it.
"""

import os
import stat
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import beneath, mounts


def bind_subpath(volume: str, subpath: str, target: Path) -> None:
    """Mount a part of a volume at `target`, making it as a directory if it is absent. Blocking; safe to repeat.

    Raises VolumeDriverError when the part leads out of the volume, OSError.
    """
    try:
        try:
            _bind(volume, subpath, target)
        except FileNotFoundError:
            beneath.make_directories(volume, subpath)
            _bind(volume, subpath, target)
    except beneath.OutsideError as error:
        raise VolumeDriverError(f"subPath {subpath!r} is outside of its volume") from error


def _bind(volume: str, subpath: str, target: Path) -> None:
    with beneath.opened(volume, subpath) as descriptor:
        found = os.fstat(descriptor)
        if _shown(found, target):
            return
        mounts.unmount_all(str(target))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        _make_place(target, directory=stat.S_ISDIR(found.st_mode))
        mounts.bind(f"/proc/self/fd/{descriptor}", str(target))


def _shown(wanted: os.stat_result, target: Path) -> bool:
    """Say whether the very same file or directory is mounted there already."""
    try:
        there = target.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino) and bool(mounts.mounted_kind(str(target)))


def _make_place(target: Path, *, directory: bool) -> None:
    if target.exists() and target.is_dir() != directory:
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink()
    if directory:
        target.mkdir(exist_ok=True, mode=0o750)
    else:
        target.touch(mode=0o640)
