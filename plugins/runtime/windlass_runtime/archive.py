"""Image archives: what `docker save` writes and OCI image layouts in a tar. Read only, bounded, nothing trusted.

Whatever is wrong with an archive is an `ArchiveError` that says what; no more than the limits is ever read, however
much a header or a compressed stream claims.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import platform
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from windlass.errors import RuntimeDriverError

REASON = "InvalidImageArchive"
MAX_PIECE = 8 << 20
"""The most that is read at once: tar's long headers are read whole, and nothing honest has more of them."""
MAX_JSON = 4 << 20
MAX_MEMBERS = 20_000
MAX_INDEX_DEPTH = 4
MAX_LAYERS = 127
BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError, RecursionError)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class ArchiveError(RuntimeDriverError):
    """An image archive is not one, or is larger than allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=REASON)


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer in the archive: where its bytes lie, and the digest of its tar when unpacked."""

    offset: int
    size: int
    diff_id: str


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """One image: its id (digest of its configuration), names, configuration and layers from the lowest up."""

    id: str
    names: Sequence[str]
    config: Mapping[str, Any]
    layers: Sequence[LayerBlob]


class BoundedReader(io.RawIOBase):
    """Reads another stream forward: small pieces, up to a total, hashing what passes."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        super().__init__()
        self._source = source
        self._limit = limit
        self._position = 0
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read exactly `size` bytes unless the stream ends. Raises ArchiveError over the bounds."""
        if size < 0 or size > MAX_PIECE:
            raise ArchiveError(f"a header of {size} bytes is more than the {MAX_PIECE} that are allowed")
        data = b""
        while len(data) < size and (piece := self._source.read(size - len(data))):
            data = data + piece if data else piece
        self._position += len(data)
        if self._position > self._limit:
            raise ArchiveError(f"more than {self._limit} bytes unpacked")
        self.hash.update(data)
        return data

    def tell(self) -> int:
        """Return how much was read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Read on to a later place. Raises ArchiveError for an earlier one."""
        if whence != io.SEEK_SET or offset < self._position:
            raise ArchiveError("the archive points backwards")
        while self._position < offset:
            if not self.read(min(1 << 20, offset - self._position)):
                break
        return self._position

    def drain(self) -> None:
        """Read to the end."""
        while self.read(1 << 20):
            pass


class _Slice(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        super().__init__()
        self._file, self._at, self._left = file, offset, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next piece."""
        self._file.seek(self._at)
        data = self._file.read(min(len(buffer), self._left))
        self._at += len(data)
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _slice(file: IO[bytes], offset: int, size: int) -> io.BufferedReader:
    return io.BufferedReader(_Slice(file, offset, size), 1 << 20)


def _unpacked(raw: io.BufferedReader) -> IO[bytes]:
    """Return the decompressed stream. Raises ArchiveError for a compression that Python cannot read."""
    magic = raw.peek(6)[:6]
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if magic[:3] == b"BZh":
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if magic[:6] == b"\xfd7zXZ\0":
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        raise ArchiveError("a layer is compressed with zstd, which is not supported: save the image with gzip")
    return raw


@contextmanager
def broken_means_invalid() -> Iterator[None]:
    """Turn what the tar, JSON and decompression modules raise on bad input into ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except (*BROKEN, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"not an image archive: {error or type(error).__name__}") from error


@dataclass(slots=True)
class ImageArchive:
    """An open archive. Blocking; use in a thread. `limit` bounds what one compressed stream may unpack to."""

    file: IO[bytes]
    limit: int
    _members: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, limit: int) -> Iterator["ImageArchive"]:
        """Open an archive file, packed as a whole or not. Raises ArchiveError, OSError."""
        with path.open("rb") as file:
            packed = file.read(3)
            if packed[:2] == b"\x1f\x8b" or packed == b"BZh":
                with path.with_name(f".{path.name}.unpacked").open("w+b") as plain:
                    Path(plain.name).unlink()
                    with broken_means_invalid():
                        _unpack_whole(file, plain, limit)
                    yield cls(plain, limit).scan()
            else:
                yield cls(file, limit).scan()

    def scan(self) -> "ImageArchive":
        """Note where every file of the archive lies."""
        links: dict[str, str] = {}
        self.file.seek(0)
        with broken_means_invalid(), tarfile.TarFile(fileobj=_Bounded(self.file)) as tar:
            for count, member in enumerate(tar):
                if count >= MAX_MEMBERS:
                    raise ArchiveError(f"more than {MAX_MEMBERS} files in the archive")
                name = _normal(member.name)
                if member.isreg() and not member.issparse():
                    self._members[name] = (member.offset_data, member.size)
                elif member.issym() or member.islnk():
                    base = PurePosixPath(name).parent if member.issym() else PurePosixPath()
                    links[name] = _normal(str(base / member.linkname))
        for name, target in links.items():
            if target in self._members:
                self._members[name] = self._members[target]
        return self

    def _json(self, name: str) -> tuple[Any, str]:
        """Return a member's value and digest."""
        offset, size = self._find(name)
        if size > MAX_JSON:
            raise ArchiveError(f"{name} has {size} bytes")
        self.file.seek(offset)
        data = self.file.read(size)
        return json.loads(data), f"sha256:{hashlib.sha256(data).hexdigest()}"

    def _find(self, name: str) -> tuple[int, int]:
        found = self._members.get(_normal(name))
        if found is None:
            raise ArchiveError(f"not an image archive: it has no {name}")
        return found

    def images(self) -> list[ArchivedImage]:
        """Return the images. Raises ArchiveError when there are none."""
        with broken_means_invalid():
            if "manifest.json" in self._members:
                entries, _ = self._json("manifest.json")
                found = [self._image(e["Config"], e.get("RepoTags") or (), e["Layers"]) for e in entries]
            elif "index.json" in self._members:
                found = list(self._indexed(self._json("index.json")[0], (), 0))
            else:
                raise ArchiveError("not an image archive: it has neither manifest.json nor index.json")
        if not found:
            raise ArchiveError("no image in the archive that runs on this machine")
        return found

    def _indexed(self, index: Mapping[str, Any], names: Sequence[str], depth: int) -> Iterator[ArchivedImage]:
        """Walk an OCI index."""
        if depth > MAX_INDEX_DEPTH:
            raise ArchiveError("indexes within indexes without end")
        for entry in index["manifests"]:
            annotations = entry.get("annotations") or {}
            mine = next(([annotations[n]] for n in NAME_ANNOTATIONS if n in annotations), names)
            wanted = (entry.get("platform") or {}).get("architecture")
            if wanted not in (None, "", ARCHITECTURES.get(platform.machine())):
                continue
            value, found = self._json(_blob(entry["digest"]))
            if found != entry["digest"]:
                raise ArchiveError(f"{entry['digest']} holds something else ({found})")
            if "manifests" in value:
                yield from self._indexed(value, mine, depth + 1)
            elif "config" in value and "layers" in value:
                yield self._image(
                    _blob(value["config"]["digest"]), mine, [_blob(layer["digest"]) for layer in value["layers"]]
                )

    def _image(self, config_name: str, names: Sequence[str], layers: Sequence[str]) -> ArchivedImage:
        config, identifier = self._json(config_name)
        diff_ids = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(layers) or len(layers) > MAX_LAYERS:
            raise ArchiveError(f"{len(layers)} layers, {len(diff_ids)} of them in the image's configuration")
        architecture = config.get("architecture") or ""
        if architecture not in ("", ARCHITECTURES.get(platform.machine())):
            raise ArchiveError(f"an image for {architecture}, and this machine is {platform.machine()}")
        blobs = [LayerBlob(*self._find(name), str(diff)) for name, diff in zip(layers, diff_ids, strict=True)]
        return ArchivedImage(identifier, [str(name) for name in names], config, blobs)

    def open_layer(self, layer: LayerBlob) -> BoundedReader:
        """Return a layer's unpacked tar. Raises ArchiveError, also while it is read."""
        return BoundedReader(_unpacked(_slice(self.file, layer.offset, layer.size)), self.limit)


class _Bounded(io.RawIOBase):
    """A file that can be sought in and refuses to be read in large pieces."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_PIECE:
            raise ArchiveError(f"a header of {size} bytes is more than the {MAX_PIECE} that are allowed")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _unpack_whole(packed: IO[bytes], plain: IO[bytes], limit: int) -> None:
    """Unpack an archive that is compressed as a whole, so that it can be read at random."""
    packed.seek(0)
    reader = BoundedReader(_unpacked(_slice(packed, 0, 1 << 62)), limit)
    while piece := reader.read(1 << 20):
        plain.write(piece)


def _normal(name: str) -> str:
    """Return a member's name without `.`, and `..` resolved within the archive."""
    parts: list[str] = []
    for part in PurePosixPath(name).parts:
        if part == "..":
            parts = parts[:-1]
        elif part not in ("/", "."):
            parts.append(part)
    return "/".join(parts)


def _blob(digest: str) -> str:
    algorithm, _, value = str(digest).partition(":")
    if algorithm != "sha256" or not value.isalnum():
        raise ArchiveError(f"{digest!r} is not a sha256 digest")
    return f"blobs/sha256/{value}"


def normal_name(image: str) -> str:
    """Return an image's name as Docker shows it: no docker.io, no library/, a tag where there is none. Pure."""
    name = image
    for prefix in ("index.docker.io/", "docker.io/"):
        name = name.removeprefix(prefix)
    if name != image or "/" in name:
        name = name.removeprefix("library/")
    if "@" in name or ":" in name.rpartition("/")[2]:
        return name
    return f"{name}:latest"
