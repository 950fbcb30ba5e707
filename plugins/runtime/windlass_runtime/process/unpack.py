"""Unpacks a layer's tar onto a directory that is treated as the root: nothing in the tar reaches outside of it.

Every path is resolved by the kernel with the directory as root (openat2), so that symlinks, hard links, `..` and
whatever races there are stay inside. Entries, bytes and headers are bounded. Devices are left out: a container gets its
own, and an image has no say in them. Blocking; use in a thread.
"""

import contextlib
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from windlass_runtime.archive import ArchiveError, BoundedReader, broken_means_invalid
from windlass_runtime.process import rootfs
from windlass_runtime.process import syscalls as sys_

MAX_ENTRIES = 500_000
MAX_DEPTH = 256
COPY_BYTES = 1 << 20
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
XATTR = "SCHILY.xattr."
KEPT_XATTRS = ("security.capability", "user.")


@dataclass(slots=True)
class LayerUnpacker:
    """Unpacks one layer. `size` is what its files hold, `left_out` counts devices."""

    root: int
    limit: int
    max_entries: int = MAX_ENTRIES
    size: int = 0
    left_out: int = 0
    _parent: tuple[str, int] = field(default=("", -1))

    def unpack(self, stream: BoundedReader) -> None:
        """Unpack a tar. Raises ArchiveError for one that is hostile, broken or too large; OSError."""
        try:
            with broken_means_invalid(), tarfile.TarFile(fileobj=cast("IO[bytes]", stream)) as tar:
                count = 0
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # a million of them are not kept
                    count += 1
                    if count > self.max_entries:
                        raise ArchiveError(f"a layer with more than {self.max_entries} entries")
                    self._place(tar, member)
            with broken_means_invalid():
                stream.drain()
        finally:
            self._forget_parent()

    def _place(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts or len(parts) > MAX_DEPTH or "\0" in member.name:
            raise ArchiveError(f"a layer with the entry {member.name[:200]!r}")
        if not parts:
            return
        parent, name = self._parent_of("/".join(parts[:-1])), parts[-1]
        if name == OPAQUE:
            for entry in os.listdir(f"/proc/self/fd/{parent}"):  # noqa: PTH208 - a descriptor
                self._remove(parent, entry)
        elif name.startswith(WHITEOUT):
            hidden = name.removeprefix(WHITEOUT)
            if hidden in ("", ".", ".."):
                raise ArchiveError(f"a layer with the entry {member.name[:200]!r}")
            self._remove(parent, hidden)
        else:
            self._make(tar, member, parent, name)

    def _parent_of(self, path: str) -> int:
        """Return the descriptor of a directory, made where it is missing; entries of one directory come together."""
        if self._parent[1] < 0 or self._parent[0] != path:
            self._forget_parent()
            place = rootfs.make_place(self.root, path, directory=True)
            self._parent = (path, place)
        return self._parent[1]

    def _forget_parent(self) -> None:
        if self._parent[1] >= 0:
            os.close(self._parent[1])
        self._parent = ("", -1)

    def _remove(self, parent: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(name, dir_fd=parent)

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        makers: dict[bytes, Callable[[], None]] = {
            tarfile.SYMTYPE: lambda: os.symlink(member.linkname, name, dir_fd=parent),
            tarfile.LNKTYPE: lambda: self._link(member, parent, name),
            tarfile.FIFOTYPE: lambda: os.mkfifo(name, 0o600, dir_fd=parent),
        }
        if member.isdir():
            self._directory(member, parent, name)
        elif member.isreg() and not member.issparse():
            self._remove(parent, name)
            self._file(tar, member, parent, name)
        elif member.type in makers:
            self._remove(parent, name)
            makers[member.type]()
            if member.type != tarfile.LNKTYPE:
                os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        elif member.ischr() or member.isblk():
            self.left_out += 1
        else:
            raise ArchiveError(f"a layer with an entry of a kind that is not supported: {member.name[:200]!r}")

    def _directory(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if not os.path.isdir(f"/proc/self/fd/{parent}/{name}") or os.path.islink(f"/proc/self/fd/{parent}/{name}"):  # noqa: PTH112, PTH114 - below a descriptor
                self._remove(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._attributes(made, member)
        finally:
            os.close(made)

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        if self.size + member.size > self.limit:
            raise ArchiveError(f"an image of more than {self.limit} bytes")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        source = tar.extractfile(member)
        assert source is not None
        made = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            while data := source.read(COPY_BYTES):
                os.write(made, data)
                self.size += len(data)
            self._attributes(made, member)
        finally:
            os.close(made)

    def _attributes(self, made: int, member: tarfile.TarInfo) -> None:
        os.fchown(made, member.uid, member.gid)
        os.fchmod(made, member.mode & 0o7777)
        for key, value in member.pax_headers.items():
            name = key.removeprefix(XATTR)
            if name != key and name.startswith(KEPT_XATTRS):
                os.setxattr(made, name, value.encode(errors="surrogateescape"))
        with contextlib.suppress(OverflowError, ValueError):
            os.utime(made, (member.mtime, member.mtime))

    def _link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        """Make a hard link to an earlier entry. Raises ArchiveError when there is none inside."""
        target = [part for part in member.linkname.split("/") if part not in ("", ".")]
        if ".." in target or not target:
            raise ArchiveError(f"a layer with a link to {member.linkname[:200]!r}")
        try:
            place = sys_.open_in_root(self.root, "/".join(target[:-1]) or "/")
            try:
                os.link(target[-1], name, src_dir_fd=place, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(place)
        except FileNotFoundError:
            raise ArchiveError(f"a layer with a link to {member.linkname[:200]!r}, which it has not") from None


def unpack_layer(stream: BoundedReader, target: Path, *, limit: int) -> int:
    """Unpack a layer onto a directory and return the size of what it brought. Raises ArchiveError, OSError."""
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacker = LayerUnpacker(root, limit)
        unpacker.unpack(stream)
        return unpacker.size
    finally:
        os.close(root)
