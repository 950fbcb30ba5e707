"""What the drivers of ephemeral volumes share: nothing to stage, a directory that goes as it came."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import mounts, trees
from windlass.plugin.interfaces.volume import Obj, VolumeUsage


class EphemeralDriver:
    """The verbs that are the same for all volumes which live and end with their pod."""

    sources: Sequence[str] = ()
    stages = False

    async def node_stage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing: there is no volume before its pod."""

    async def node_unstage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing."""

    async def node_unpublish_volume(self, target: str) -> None:
        """Unmount and remove the directory."""
        try:
            await asyncio.to_thread(trees.remove, target)
        except OSError as error:
            raise VolumeDriverError(str(error), reason="FailedUnMount") from error

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Count what the directory holds."""
        try:
            used = await asyncio.to_thread(trees.measure, path)
        except FileNotFoundError:
            return VolumeUsage()
        return VolumeUsage(used_bytes=used.bytes, used_inodes=used.inodes)


def make_directory(target: str, mode: int, *, in_memory: bool = False, size_bytes: int = 0) -> bool:
    """Make a volume's directory, in memory if asked and possible; say whether it is new. Blocking. Raises OSError."""
    path = Path(target)
    new = not path.exists()
    path.mkdir(exist_ok=True, mode=0o700)
    if in_memory and mounts.can_mount() and not path.is_mount():
        mounts.mount_tmpfs(target, size_bytes=size_bytes)
        new = True
    if new:
        path.chmod(mode)
    return new
