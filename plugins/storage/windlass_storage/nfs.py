"""nfs: an export of a file server, in pods' own volume entries and in persistent volumes."""

import asyncio
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.volume import Obj, Published, PublishRequest, VolumeAccess, VolumeUsage
from windlass_storage import commands
from windlass_storage.binding import file_system_usage, unpublish

MOUNT = "/usr/bin/mount"


class NfsDriver:
    """Mounts the export for each pod, as kubelets do; `mount -t nfs` of the host speaks to the server."""

    sources = ("nfs",)
    stages = False

    def __init__(self, run: commands.Run = commands.run) -> None:
        self._run = run

    async def node_stage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing: the kernel shares one connection between mounts of one export."""

    async def node_unstage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing."""

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:  # noqa: ARG002
        """Mount the export at the pod's directory, unless it is mounted there."""
        spec = (request.persistent_volume or {}).get("spec") or {}
        source = spec.get("nfs") or request.volume["nfs"]
        readonly = bool(source.get("readOnly")) or request.readonly
        if not await asyncio.to_thread(mounts.mounted_kind, request.target):
            await asyncio.to_thread(lambda: Path(request.target).mkdir(exist_ok=True, mode=0o750))
            try:
                await self._run(*mount_command(source, request.target, spec.get("mountOptions") or (), readonly=readonly))
            except BaseException:
                await unpublish(request.target)
                raise
        return Published(request.target, readonly=readonly)

    async def node_unpublish_volume(self, target: str) -> None:
        """Unmount it."""
        await unpublish(target)

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Tell what the server says of the export."""
        return await asyncio.to_thread(file_system_usage, path)


def mount_command(source: Obj, target: str, options: "list[str] | tuple[str, ...]", *, readonly: bool) -> list[str]:
    """Return the command that mounts an export. Raises VolumeDriverError for what no server or path can be. Pure."""
    server, path = str(source.get("server") or ""), str(source.get("path") or "")
    if not server or server.startswith("-") or "/" in server:
        raise VolumeDriverError(f"nfs: {server!r} is not a server")
    if not path.startswith("/"):
        raise VolumeDriverError(f"nfs: path {path!r} must be absolute")
    host = f"[{server}]" if ":" in server and not server.startswith("[") else server
    wanted = ",".join([*options, *(["ro"] if readonly else [])])
    return [MOUNT, "-t", "nfs", *(["-o", wanted] if wanted else []), "--", f"{host}:{path}", target]
