"""windlass.dev/loop: each volume an ext4 image on the node's disk, with a size that holds.

The image has its room set aside when it is made, so that a volume never finds the disk full before its own limit. It is
mounted once per node through a loop device that the kernel frees with the last mount. An image grows at once; its file
system follows while pods use it, or, where the kernel does not let the agent do that (CAP_SYS_RESOURCE), before the next
time that it is staged.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import mounts, trees
from windlass.plugin.interfaces.volume import (
    CreatedVolume,
    CreateVolumeRequest,
    Obj,
    Published,
    PublishRequest,
    VolumeAccess,
    VolumeUsage,
)
from windlass_storage import commands
from windlass_storage.binding import MODE, capacity_of, file_system_usage, publish, unpublish

PROVISIONER = "windlass.dev/loop"
EXHAUSTED = "ResourceExhausted"
SMALLEST_BYTES = 1 << 20
MEBIBYTE = 1 << 20
SUPERBLOCK = 1024
CORRECTED = (0, 1)
"""What e2fsck ends with when the file system is well, perhaps because it repaired it."""


class LoopDriver:
    """Serves and makes its own volumes, on the node that holds the image."""

    sources = (PROVISIONER,)
    stages = True
    provisioner = PROVISIONER

    def __init__(self, state_dir: str) -> None:
        self._root = Path(state_dir)
        self._locks: dict[str, asyncio.Lock] = {}

    # -- node

    async def node_stage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Check the file system, bring it to the image's size, mount it."""
        image = self._image(persistent_volume)
        async with self._lock(image):
            if await asyncio.to_thread(mounts.mounted_kind, staging):
                return
            if not await asyncio.to_thread(image.is_file):
                raise VolumeDriverError(f"volume {image.stem} is not on this node")
            if await asyncio.to_thread(mounted_image, image):
                raise VolumeDriverError(f"volume {image.stem} is mounted elsewhere on this node")
            await _check_and_fit(image)
            await asyncio.to_thread(lambda: Path(staging).mkdir(parents=True, exist_ok=True, mode=0o750))
            options = ",".join(["loop", "nodev", *((persistent_volume["spec"].get("mountOptions")) or ())])
            await commands.run("/usr/bin/mount", "-t", "ext4", "-o", options, "--", str(image), staging)

    async def node_unstage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Unmount it; the kernel frees the loop device."""
        del persistent_volume
        await unpublish(staging)

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:  # noqa: ARG002
        """Show the staged file system in the pod."""
        if not request.staging or not await asyncio.to_thread(mounts.mounted_kind, request.staging):
            raise VolumeDriverError("the volume is not staged")
        source = ((request.persistent_volume or {}).get("spec") or {}).get("csi") or {}
        return await publish(request, request.staging, readonly=bool(source.get("readOnly")))

    async def node_unpublish_volume(self, target: str) -> None:
        """Take it away from the pod."""
        await unpublish(target)

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Ask the file system."""
        if not await asyncio.to_thread(mounts.mounted_kind, path):
            return VolumeUsage()
        return await asyncio.to_thread(file_system_usage, path)

    async def node_expand_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Tell the loop device and the file system that the image has grown."""
        image = self._image(persistent_volume)
        async with self._lock(image):
            device = await asyncio.to_thread(_device_at, staging)
            if not device:
                raise VolumeDriverError("the volume is not staged")
            await commands.run("/usr/sbin/losetup", "-c", device)
            await commands.run("/usr/sbin/resize2fs", device)

    # -- provisioner

    async def create_volume(self, request: CreateVolumeRequest) -> CreatedVolume:
        """Set the room aside and make the file system, or copy the source's image."""
        if request.volume_mode == "Block":
            raise VolumeDriverError(f"{PROVISIONER} makes no block volumes", reason="InvalidArgument")
        image = self._named(request.name)
        source = {"csi": {"driver": PROVISIONER, "volumeHandle": request.name, "fsType": "ext4"}}
        async with self._lock(image):
            if not image.exists():
                await self._make(image, request)
            return CreatedVolume((await asyncio.to_thread(image.stat)).st_size, source)

    async def _make(self, image: Path, request: CreateVolumeRequest) -> None:
        unfinished = image.with_name(f".{image.name}")
        origin = self._origin(request.source)
        size = _whole(max(request.capacity_bytes, SMALLEST_BYTES, origin.stat().st_size if origin else 0))
        try:
            if origin is None:
                await asyncio.to_thread(_allocate, unfinished, size)
                # Without nodiscard the room that was set aside would be given back.
                await commands.run("/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", str(unfinished))
                top = f"set_inode_field <2> mode 040{MODE:o}"
                await commands.run("/usr/sbin/debugfs", "-w", "-R", top, str(unfinished))
            else:
                await self._copy(origin, unfinished, size)
            await asyncio.to_thread(unfinished.rename, image)
        except OSError as error:
            raise VolumeDriverError(str(error), reason="Internal") from error
        finally:
            await asyncio.to_thread(lambda: unfinished.unlink(missing_ok=True))

    @staticmethod
    async def _copy(origin: Path, unfinished: Path, size: int) -> None:
        """Copy an image that nobody writes to: one in use would be torn."""
        if await asyncio.to_thread(mounted_image, origin):
            raise VolumeDriverError(f"volume {origin.stem} is in use: it is cloned when no pod uses it", reason="Aborted")
        await asyncio.to_thread(shutil.copyfile, origin, unfinished)
        await asyncio.to_thread(_allocate, unfinished, size)

    async def delete_volume(self, persistent_volume: Obj) -> None:
        """Remove the image."""
        image = self._image(persistent_volume)
        async with self._lock(image):
            if await asyncio.to_thread(mounted_image, image):
                raise VolumeDriverError(f"volume {image.stem} is still mounted", reason="FailedPrecondition")
            await asyncio.to_thread(trees.remove, str(image))
        self._locks.pop(image.name, None)

    async def get_capacity(self, parameters: Mapping[str, str]) -> int:  # noqa: ARG002 - one disk for all classes
        """Return what the disk has left: what is promised is set aside already."""
        return await asyncio.to_thread(self._room)

    async def expand_volume(self, persistent_volume: Obj, capacity_bytes: int) -> int:
        """Grow the image, its new room set aside too."""
        image = self._image(persistent_volume)
        async with self._lock(image):
            if not image.exists():
                raise VolumeDriverError(f"volume {image.stem} is not on this node", reason="NotFound")
            try:
                return await asyncio.to_thread(_allocate, image, _whole(max(capacity_bytes, capacity_of(persistent_volume))))
            except OSError as error:
                raise VolumeDriverError(str(error), reason="Internal") from error

    # -- inside

    def _lock(self, image: Path) -> asyncio.Lock:
        return self._locks.setdefault(image.name, asyncio.Lock())

    def _named(self, handle: str) -> Path:
        if not handle or handle.startswith(".") or "/" in handle:
            raise VolumeDriverError(f"{handle!r} is not a volume of {PROVISIONER}", reason="InvalidArgument")
        return self._root / f"{handle}.img"

    def _image(self, persistent_volume: Obj) -> Path:
        return self._named(str(persistent_volume["spec"]["csi"]["volumeHandle"]))

    def _origin(self, source: Obj | None) -> Path | None:
        if source is None:
            return None
        if (source["spec"].get("csi") or {}).get("driver") != PROVISIONER:
            raise VolumeDriverError(f"a clone's source must be a volume of {PROVISIONER}", reason="InvalidArgument")
        origin = self._image(source)
        if not origin.exists():
            raise VolumeDriverError(f"the clone's source {origin.stem} is not on this node", reason="NotFound")
        return origin

    def _room(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize


async def _check_and_fit(image: Path) -> None:
    """Repair the file system if it was not left clean, and let it fill an image that has grown."""
    await commands.run("/usr/sbin/e2fsck", "-p", str(image), accepts=CORRECTED)
    size, filled = await asyncio.to_thread(lambda: (image.stat().st_size, file_system_bytes(image)))
    if size - filled >= MEBIBYTE:
        await commands.run("/usr/sbin/e2fsck", "-f", "-p", str(image), accepts=CORRECTED)
        await commands.run("/usr/sbin/resize2fs", str(image))


def file_system_bytes(image: Path) -> int:
    """Read from an ext4 superblock how large the file system is. Blocking."""
    with image.open("rb") as file:
        file.seek(SUPERBLOCK)
        block = file.read(0x154)
    low, log_size, high = (int.from_bytes(block[at : at + 4], "little") for at in (0x04, 0x18, 0x150))
    return ((high << 32) + low) * (1024 << log_size)


def _whole(size: int) -> int:
    """Round up to whole MiB. Pure."""
    return -(-size // MEBIBYTE) * MEBIBYTE


def _allocate(image: Path, size: int) -> int:
    """Make the image or let it grow, with blocks of its own for every byte; return its size. Blocking."""
    image.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with image.open("ab") as file:
        before = os.fstat(file.fileno()).st_size
        if size <= before:
            return before
        found = os.statvfs(image.parent)
        if size - before > (room := found.f_bavail * found.f_frsize):
            raise VolumeDriverError(f"not enough room: {size - before} bytes wanted, {room} left", reason=EXHAUSTED)
        try:
            os.posix_fallocate(file.fileno(), before, size - before)
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise
    return size


def _backing_file(device: str) -> str:
    """Return what a loop device shows, '' when it is none."""
    try:
        text = (Path("/sys/block") / Path(device).name / "loop/backing_file").read_text()
    except OSError:
        return ""
    return text.strip()


def mounted_image(image: Path) -> bool:
    """Say whether an image is mounted anywhere on this node. Blocking."""
    real = str(image.resolve())
    loops = {point.source for point in mounts.mount_points(containing=" /dev/loop")}
    return any(_backing_file(device) == real for device in loops)


def _device_at(path: str) -> str:
    real = os.path.realpath(path)
    points = mounts.mount_points(containing=" /dev/loop")
    return next((point.source for point in reversed(points) if point.path == real), "")
