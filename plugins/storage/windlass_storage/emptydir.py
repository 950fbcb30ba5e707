"""emptyDir: a folder on the node's disk, or in its memory."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.quantity import int_value
from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import mounts, trees
from windlass.plugin.interfaces.volume import Obj, Published, PublishRequest, VolumeAccess, VolumeUsage
from windlass_storage.ephemeral import EphemeralDriver, make_directory

MODE = 0o777


class EmptyDirDriver(EphemeralDriver):
    """Keeps what is there when it publishes again: a container's restart loses nothing."""

    sources = ("emptyDir",)

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:
        """Make the folder; memory is bounded by the size limit, the pod's memory limit and the node's memory."""
        source = request.volume.get("emptyDir") or {}
        medium = source.get("medium") or ""
        if medium not in ("", "Memory"):
            raise VolumeDriverError(f"emptyDir: this node has no medium {medium!r}")
        limit = int_value(str(source["sizeLimit"])) if source.get("sizeLimit") else 0
        in_memory = medium == "Memory"
        if in_memory and not mounts.can_mount():
            raise VolumeDriverError("emptyDir: medium Memory needs an agent that may mount")
        size = memory_size(request.pod, limit, access.memory_bytes) if in_memory else 0
        try:
            await asyncio.to_thread(self._make, request, in_memory=in_memory, size_bytes=size)
        except OSError as error:
            raise VolumeDriverError(str(error)) from error
        return Published(request.target, size_limit_bytes=limit)

    def _make(self, request: PublishRequest, *, in_memory: bool, size_bytes: int) -> None:
        make_directory(request.target, MODE, in_memory=in_memory, size_bytes=size_bytes)
        if request.fs_group is not None:
            trees.give_to_group(request.target, request.fs_group, only_on_mismatch=True)

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Count the folder's files; in memory the file system itself knows."""
        if await asyncio.to_thread(mounts.mounted_kind, path) != "tmpfs":
            return await super().node_get_volume_stats(path)
        found = os.statvfs(path)
        return VolumeUsage(
            used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
            capacity_bytes=found.f_blocks * found.f_frsize,
            used_inodes=found.f_files - found.f_ffree,
            capacity_inodes=found.f_files,
        )


def memory_size(pod: Obj, limit: int, node_bytes: int) -> int:
    """Return the bytes that a volume in memory may take, 0 for the kernel's default. Pure."""
    bounds = [bound for bound in (limit, pod_memory_limit(pod), node_bytes) if bound]
    return min(bounds, default=0)


def pod_memory_limit(pod: Obj) -> int:
    """Return what all containers together may take of memory, 0 when one of them has no limit. Pure."""
    spec = pod["spec"]
    limits = [_memory_limit(container) for container in spec.get("containers") or ()]
    first = [_memory_limit(container) for container in spec.get("initContainers") or ()]
    if not all(limits) or not all(first):
        return 0
    return max(sum(limits), *first) if first else sum(limits)


def _memory_limit(container: Mapping[str, Any]) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return int_value(str(limits["memory"])) if limits.get("memory") else 0
