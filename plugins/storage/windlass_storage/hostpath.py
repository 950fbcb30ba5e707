"""hostPath: a file or folder of the node, checked for what it is said to be."""

import asyncio
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.interfaces.volume import Published, PublishRequest, VolumeAccess, VolumeUsage
from windlass_storage.binding import file_system_usage
from windlass_storage.ephemeral import EphemeralDriver

CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class HostPathDriver(EphemeralDriver):
    """Shows the node's own path; neither its owner nor its content is touched."""

    sources = ("hostPath",)

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:  # noqa: ARG002
        """Check the path, and make it where its type says so; without a type an absent path becomes a directory."""
        behind = (request.persistent_volume or {}).get("spec") or request.volume
        source = behind["hostPath"]
        path, kind = source["path"], source.get("type") or ""
        if not path.startswith("/"):
            raise VolumeDriverError(f"hostPath {path!r} must be an absolute path")
        try:
            await asyncio.to_thread(check, path, kind)
        except OSError as error:
            raise VolumeDriverError(f"hostPath type check failed: {path}: {error.strerror or error}") from error
        return Published(path, readonly=request.readonly)

    async def node_unpublish_volume(self, target: str) -> None:
        """Do nothing: the path is the node's."""

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Tell of the file system that holds the path; the files are not the pod's to count."""
        return replace(file_system_usage(path), shared=True)


def check(path: str, kind: str) -> None:
    """Check what is at a path, making it first where the type says so. Blocking. Raises VolumeDriverError, OSError."""
    found = Path(path)
    if not found.exists():
        if kind in ("", "DirectoryOrCreate"):
            found.mkdir(mode=0o755, parents=True, exist_ok=True)
        elif kind == "FileOrCreate":
            found.touch(mode=0o644)
    if not kind:
        return
    fits, what = CHECKS[kind]
    try:
        fine = fits(found.stat().st_mode)
    except FileNotFoundError:
        fine = False
    if not fine:
        raise VolumeDriverError(f"hostPath type check failed: {path} is not {what}")
