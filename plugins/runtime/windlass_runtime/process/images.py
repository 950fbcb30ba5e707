"""The process runtime's images: records by name, layers shared between them. Blocking; use in a thread.

`<state>/images/<quoted name>/image.json` describes an image, `<state>/layers/<id>` is one layer's part of a root file
system, in the form that overlayfs takes. A layer's id comes from its own content and that of all below (a chain id), so
that equal layers are stored once. `<state>/images/<quoted name>/rootfs` with a `config.json` beside it is an image that
somebody unpacked by hand. The image `host` is this machine's own file system.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import Image
from windlass_runtime.archive import ArchivedImage, ArchiveError, ImageArchive, LayerBlob, normal_name
from windlass_runtime.process import rootfs
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.files import read_json, write_json
from windlass_runtime.process.unpack import unpack_layer

HOST_IMAGE = "host"
ID_LENGTH = 24
MAX_FILE_NAME = 200
MAX_IMAGE_BYTES = 20 << 30


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image as it lies here. `lower` is overlayfs' lowerdir, its parts relative to `directory` unless absolute."""

    id: str
    name: str
    lower: str
    layers: Sequence[str]
    config: Mapping[str, Any]
    size: int


def is_host(image: str) -> bool:
    """Say whether a name means this machine's own file system."""
    return image == HOST_IMAGE or image.startswith(f"{HOST_IMAGE}:")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(slots=True)
class ImageStore:
    """All images under one state directory."""

    root: Path
    max_bytes: int = MAX_IMAGE_BYTES
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def layers_dir(self) -> Path:
        """Where the layers lie."""
        return self.root / "layers"

    def prepare(self) -> None:
        """Make the directories, and remove what an import that was cut off has left."""
        for name in ("images", "layers"):
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in [*self.layers_dir.glob(".*"), *(self.root / "images").glob(".*")]:
            _discard(entry)

    def _image_dir(self, name: str) -> Path:
        quoted = quote(name, safe="")
        return self.root / "images" / (quoted if len(quoted) <= MAX_FILE_NAME else f"long-{_digest(name)}")

    def find(self, image: str) -> LocalImage | None:
        """Return an image by a name of it or its id; None when it is not here."""
        if is_host(image):
            return LocalImage(f"sha256:{_digest(HOST_IMAGE)}", HOST_IMAGE, "/", (), {}, 0)
        for name in dict.fromkeys((image, normal_name(image))):
            found = self._read(self._image_dir(name))
            if found is not None:
                return found
        if image.startswith("sha256:"):
            return next((found for found in self._all() if found.id == image), None)
        return None

    def _read(self, directory: Path) -> LocalImage | None:
        record = read_json(directory / "image.json")
        if record is not None:
            layers = record["layers"]
            return LocalImage(
                record["id"], record["name"], rootfs.lower_of(layers), layers, record["config"], record["size"]
            )
        by_hand = directory / "rootfs"
        if by_hand.is_dir():
            name = unquote(directory.name)
            config = read_json(directory / "config.json") or {}
            return LocalImage(f"sha256:{_digest(name)}", name, str(by_hand), (), config, _size(by_hand))
        return None

    def _all(self) -> Iterator[LocalImage]:
        for entry in sorted((self.root / "images").iterdir()):
            found = None if entry.name.startswith(".") else self._read(entry)
            if found is not None:
                yield found

    def describe(self) -> list[Image]:
        """Describe all images, one entry per id with all its names."""
        names: dict[str, list[str]] = {}
        sizes: dict[str, int] = {}
        for image in self._all():
            names.setdefault(image.id, []).append(image.name)
            sizes[image.id] = image.size
        return [Image(identifier, tuple(found), sizes[identifier]) for identifier, found in names.items()]

    def remove(self, image: str, in_use: Iterable[str]) -> None:
        """Remove an image by name or id, and the layers that no other image and no container (`in_use`) needs."""
        with self._lock:
            found = self.find(image)
            if found is None or is_host(image):
                return
            for other in list(self._all()):
                if other.name == found.name or (image == found.id and other.id == image):
                    _discard(self._image_dir(other.name))
            needed = {layer for other in self._all() for layer in other.layers} | set(in_use)
            for entry in list(self.layers_dir.iterdir()):
                if entry.name.removesuffix(".json") not in needed:
                    _discard(entry)

    def load(self, archive: Path) -> Sequence[str]:
        """Import every image of an archive and return their names. Raises RuntimeDriverError saying what is wrong."""
        with self._lock:
            try:
                with ImageArchive.opened(archive, limit=self.max_bytes) as opened:
                    return [name for image in opened.images() for name in self._load_image(opened, image)]
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                why = "no space left on the node's disk" if full else str(error)
                raise RuntimeDriverError(f"cannot import the image: {why}", reason="ImageImportFailed") from error

    def _load_image(self, archive: ImageArchive, image: ArchivedImage) -> list[str]:
        layers: list[str] = []
        chain, size = "", 0
        for blob in image.layers:
            chain = _digest(chain, blob.diff_id) if chain else _digest(blob.diff_id)
            identifier = chain[:ID_LENGTH]
            known = read_json(self.layers_dir / f"{identifier}.json")
            if known is None:
                known = {"size": self._load_layer(archive, blob, identifier, layers, self.max_bytes - size)}
                write_json(self.layers_dir / f"{identifier}.json", known)
            layers.append(identifier)
            size += known["size"]
        names = [normal_name(name) for name in image.names] or [image.id]
        record = {"id": image.id, "config": image.config.get("config") or {}, "layers": layers, "size": size}
        for name in names:
            directory = self._image_dir(name)
            directory.mkdir(exist_ok=True, mode=0o700)
            write_json(directory / "image.json", {**record, "name": name})
        return names

    def _load_layer(
        self, archive: ImageArchive, blob: LayerBlob, identifier: str, below: Sequence[str], limit: int
    ) -> int:
        """Unpack a layer over those below it, so that its paths go where they would in the container.

        It gets its name when it is whole and its digest is right; before, it is nothing.
        """
        work = self.layers_dir / f".{identifier}"
        _discard(work)
        for name in ("upper", "work", "merged"):
            (work / name).mkdir(parents=True, mode=0o755)
        target = work / "upper"
        try:
            if below:
                target = work / "merged"
                lower = ":".join(str(self.layers_dir / layer) for layer in reversed(below))
                options = f"lowerdir={lower},upperdir={work}/upper,workdir={work}/work"
                _mount_overlay(self.layers_dir, below, target, options)
            stream = archive.open_layer(blob)
            size = unpack_layer(stream, target, limit=limit)
            found = f"sha256:{stream.hash.hexdigest()}"
            if found != blob.diff_id:
                raise ArchiveError(f"a layer's content is {found}, its image says {blob.diff_id}")
            if below:
                sys_.unmount(str(target))
            (work / "upper").rename(self.layers_dir / identifier)
        finally:
            _discard(work)
        return size


def _mount_overlay(layers_dir: Path, below: Sequence[str], target: Path, options: str) -> None:
    """Mount, with short names for many layers: the kernel takes one page of options."""
    if len(options) < os.sysconf("SC_PAGE_SIZE") - 1:
        sys_.mount("overlay", str(target), "overlay", data=options)
        return
    links = target.parent / "l"
    links.mkdir()
    descriptor = os.open(links, os.O_PATH | os.O_CLOEXEC)
    try:
        for at, layer in enumerate(reversed(below)):
            (links / f"{at:x}").symlink_to(layers_dir / layer)
        lower = ":".join(f"/proc/self/fd/{descriptor}/{at:x}" for at in range(len(below)))
        rest = options[options.index(",upperdir=") :]
        sys_.mount("overlay", str(target), "overlay", data=f"lowerdir={lower}{rest}")
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    """Remove a file or tree of ours, unmounting what an import had mounted in it."""
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):
            sys_.unmount(str(path / "merged"))
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(root: Path) -> int:
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(root) for name in names)  # noqa: PTH118 - walks quickly
