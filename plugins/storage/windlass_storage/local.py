"""local: a directory of the node as a persistent volume, and `windlass.dev/hostpath`, which makes such volumes.

A made volume is a directory in the driver's own folder on the node's disk, with a small file beside it that says how
much was promised. Nothing holds a pod to its promise (`windlass.dev/loop` does); but no more is promised than the disk
has left, so that what was promised is there.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from windlass.errors import VolumeDriverError
from windlass.plugin.hostfs import trees
from windlass.plugin.interfaces.volume import (
    CreatedVolume,
    CreateVolumeRequest,
    Obj,
    Published,
    PublishRequest,
    VolumeAccess,
    VolumeUsage,
)
from windlass_storage.binding import MODE, capacity_of, directory_usage, publish, unpublish

HOSTPATH_PROVISIONER = "windlass.dev/hostpath"
EXHAUSTED = "ResourceExhausted"
PROMISES = ".promises"


class LocalDriver:
    """Serves `local` persistent volumes: whatever directory they name, made by somebody or by `create_volume`."""

    sources = ("local",)
    stages = False
    provisioner = HOSTPATH_PROVISIONER

    def __init__(self, state_dir: str, free_bytes: Callable[[str], int] | None = None) -> None:
        self._root = Path(state_dir)
        self._free_bytes = free_bytes or _free_bytes
        self._lock = asyncio.Lock()

    # -- node

    async def node_stage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing: it is where it is."""

    async def node_unstage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Do nothing."""

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:  # noqa: ARG002
        """Show the directory in the pod; one that is absent is an error, as somebody's disk may not be mounted."""
        if request.persistent_volume is None:
            raise VolumeDriverError("local volumes are used through claims")
        path = str(request.persistent_volume["spec"]["local"]["path"])
        if not path.startswith("/") or ".." in path.split("/"):
            raise VolumeDriverError(f"local volume path {path!r} must be absolute and without '..'")
        if not await asyncio.to_thread(Path(path).is_dir):
            raise VolumeDriverError(f"path {path!r} does not exist or is no directory")
        return await publish(request, path)

    async def node_unpublish_volume(self, target: str) -> None:
        """Take it away from the pod."""
        await unpublish(target)

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Count its files."""
        return await directory_usage(path)

    # -- provisioner

    async def create_volume(self, request: CreateVolumeRequest) -> CreatedVolume:
        """Make the directory, unless the disk has not that much left to promise."""
        if request.volume_mode == "Block":
            raise VolumeDriverError(f"{self.provisioner} makes no block volumes", reason="InvalidArgument")
        async with self._lock:
            try:
                return await asyncio.to_thread(self._create, request)
            except OSError as error:
                raise VolumeDriverError(str(error), reason="Internal") from error

    def _create(self, request: CreateVolumeRequest) -> CreatedVolume:
        where, promise = self._place(request.name)
        if not promise.exists():
            source = _source_path(request.source)
            self._check_room(request.capacity_bytes)
            _fill(where, source)
            _write(promise, request.capacity_bytes)
        return CreatedVolume(self._promised(promise), {"local": {"path": str(where)}})

    async def delete_volume(self, persistent_volume: Obj) -> None:
        """Remove the directory, if it is one of this driver's."""
        path = Path(persistent_volume["spec"]["local"]["path"])
        if path.parent != self._root or path.name.startswith("."):
            raise VolumeDriverError(f"{path} is not a volume of {self.provisioner}: not removed", reason="InvalidArgument")
        where, promise = self._place(path.name)
        async with self._lock:
            try:
                await asyncio.to_thread(_remove, where, promise)
            except OSError as error:
                raise VolumeDriverError(str(error), reason="Internal") from error

    async def get_capacity(self, parameters: Mapping[str, str]) -> int:  # noqa: ARG002 - one disk for all classes
        """Return what the disk has left beyond what is promised and not used yet."""
        async with self._lock:
            return await asyncio.to_thread(self._room)

    async def expand_volume(self, persistent_volume: Obj, capacity_bytes: int) -> int:
        """Promise more."""
        where, promise = self._place(Path(persistent_volume["spec"]["local"]["path"]).name)
        async with self._lock:
            try:
                return await asyncio.to_thread(self._expand, promise, capacity_of(persistent_volume), capacity_bytes)
            except FileNotFoundError as error:
                raise VolumeDriverError(f"{where} is not there", reason="NotFound") from error
            except OSError as error:
                raise VolumeDriverError(str(error), reason="Internal") from error

    def _expand(self, promise: Path, known: int, wanted: int) -> int:
        before = max(self._promised(promise), known)
        if wanted > before:
            self._check_room(wanted - before)
            _write(promise, wanted)
        return max(before, wanted)

    # -- inside; blocking

    def _place(self, name: str) -> tuple[Path, Path]:
        if not name or name.startswith(".") or "/" in name:
            raise VolumeDriverError(f"{name!r} is not a volume's name", reason="InvalidArgument")
        return self._root / name, self._root / PROMISES / name

    @staticmethod
    def _promised(promise: Path) -> int:
        return int(json.loads(promise.read_text())["bytes"])

    def _check_room(self, wanted: int) -> None:
        room = self._room()
        if wanted > room:
            raise VolumeDriverError(f"not enough room: {wanted} bytes wanted, {room} left to promise", reason=EXHAUSTED)

    def _room(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        folder = self._root / PROMISES
        left = self._free_bytes(str(self._root))
        for promise in folder.iterdir() if folder.is_dir() else ():
            used = trees.measure(str(self._root / promise.name)).bytes if (self._root / promise.name).is_dir() else 0
            left -= max(0, self._promised(promise) - used)
        return max(0, left)


def _free_bytes(path: str) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _source_path(source: Obj | None) -> str:
    """Return the directory that a clone is copied from, '' for an empty volume."""
    if source is None:
        return ""
    path = (source["spec"].get("local") or {}).get("path")
    if not path:
        raise VolumeDriverError("a clone's source must be a local volume", reason="InvalidArgument")
    return str(path)


def _fill(where: Path, source: str) -> None:
    """Make the directory under another name and move it into place: a half-made copy is never taken for a volume."""
    unfinished = where.with_name(f".{where.name}")
    trees.remove(str(unfinished))
    where.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if where.is_dir():
        return
    try:
        if source:
            shutil.copytree(source, unfinished, symlinks=True)
        else:
            unfinished.mkdir()
            unfinished.chmod(MODE)
        unfinished.rename(where)
    except BaseException:
        trees.remove(str(unfinished))
        raise


def _write(promise: Path, size: int) -> None:
    promise.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = promise.with_name(f".{promise.name}")
    unfinished.write_text(json.dumps({"bytes": size}))
    unfinished.rename(promise)


def _remove(where: Path, promise: Path) -> None:
    trees.remove(str(where))
    promise.unlink(missing_ok=True)
