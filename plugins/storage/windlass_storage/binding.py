"""What drivers of persistent volumes share: a directory that is shown at the pod's target by a bind mount."""

import asyncio
import os
from pathlib import Path
from typing import Any

from windlass.apimachinery.quantity import int_value
from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import mounts, trees
from windlass.plugin.interfaces.volume import Published, PublishRequest, VolumeUsage

Obj = dict[str, Any]
MODE = 0o777
"""Of a new volume's top: whoever the containers run as may write, as with emptyDir."""


async def publish(request: PublishRequest, directory: str, *, readonly: bool = False) -> Published:
    """Show `directory` at the request's target and give it to the pod's group. Raises VolumeDriverError."""
    try:
        await asyncio.to_thread(_publish, request, directory)
    except OSError as error:
        raise VolumeDriverError(str(error)) from error
    return Published(request.target, readonly=readonly or request.readonly)


def _publish(request: PublishRequest, directory: str) -> None:
    if not mounts.can_mount():
        raise VolumeDriverError("persistent volumes need an agent that may mount")
    if request.fs_group is not None and not request.readonly:
        trees.give_to_group(directory, request.fs_group, only_on_mismatch=only_on_mismatch(request.pod))
    target = Path(request.target)
    target.mkdir(exist_ok=True, mode=0o750)
    if not mounts.mounted_kind(str(target)):
        mounts.bind(directory, str(target))


def only_on_mismatch(pod: Obj) -> bool:
    """Say whether the pod wants ownership changed only where the top is not right (`fsGroupChangePolicy`). Pure."""
    context = pod["spec"].get("securityContext") or {}
    return bool(context.get("fsGroupChangePolicy") == "OnRootMismatch")


async def unpublish(target: str) -> None:
    """Undo it: the mount goes, what it showed stays. Raises VolumeDriverError while something uses it."""
    try:
        await asyncio.to_thread(_unpublish, target)
    except OSError as error:
        raise VolumeDriverError(str(error), reason="FailedUnMount") from error


def _unpublish(target: str) -> None:
    path = Path(target)
    if path.is_symlink():
        path.unlink()
        return
    mounts.unmount_all(target)
    # Never a recursive removal: were the mount still there, it would be the volume's content that went.
    if path.exists():
        path.rmdir()


def file_system_usage(path: str) -> VolumeUsage:
    """Measure a volume that is a file system of its own."""
    try:
        found = os.statvfs(path)
    except OSError:
        return VolumeUsage()
    return VolumeUsage(
        used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
        capacity_bytes=found.f_blocks * found.f_frsize,
        used_inodes=found.f_files - found.f_ffree,
        capacity_inodes=found.f_files,
    )


async def directory_usage(path: str) -> VolumeUsage:
    """Measure a volume that is a directory among others: its files are its own, the space around it is not."""
    try:
        used = await asyncio.to_thread(trees.measure, path)
    except OSError:
        return VolumeUsage()
    return VolumeUsage(used_bytes=used.bytes, used_inodes=used.inodes)


def capacity_of(persistent_volume: Obj) -> int:
    """Return a volume's size in bytes, 0 when it has none. Pure."""
    written = ((persistent_volume.get("spec") or {}).get("capacity") or {}).get("storage")
    return int_value(str(written)) if written else 0
