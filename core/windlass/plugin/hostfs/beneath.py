"""Open and make paths beneath a directory that others may change meanwhile, without ever leaving it.

The kernel resolves the path (`openat2` with RESOLVE_BENEATH): a symlink inside the directory is followed as long as it
stays inside; one that leaves it, an absolute one, `..` above the top and the magic links of /proc are refused, however
fast somebody swaps directories and symlinks. What is opened is held by a descriptor, so that what was checked is what is
used. Needs Linux 5.6. Kubernetes' kubelet reaches the same by walking with O_NOFOLLOW.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
SYS_OPENAT2 = 437
"""The same number on every architecture."""
RACES = 128
"""How often the kernel may find that a directory moved while it looked, before this is an error."""
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class OutsideError(OSError):
    """A path leads out of its directory."""


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a relative path beneath a directory's descriptor. Raises OutsideError, or OSError as `os.open` does."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path or ".")
    if b"\0" in name:
        raise OSError(errno.EINVAL, f"{path!r}: a path has no NUL")
    number = 0
    for _ in range(RACES):
        descriptor = _libc.syscall(SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    if number in (errno.EXDEV, errno.ELOOP, errno.EAGAIN):
        raise OutsideError(number, f"{path!r} leads out of its volume")
    if number == errno.ENOSYS:
        raise OSError(number, "paths inside volumes need Linux 5.6 or newer")
    raise OSError(number, f"{path!r}: {os.strerror(number)}")


@contextmanager
def opened(root: str, path: str = "") -> Iterator[int]:
    """Hold a path beneath `root` (a trusted path) as an O_PATH descriptor."""
    top = os.open(root, os.O_PATH | os.O_CLOEXEC)
    try:
        descriptor = open_beneath(top, path, os.O_PATH) if path else os.dup(top)
    finally:
        os.close(top)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_directories(root: str, path: str) -> None:
    """Make the directories of a relative path that are absent, with the mode of `root`; group by set-group-ID.

    Raises OutsideError when one of them, or a symlink in between, leads out; OSError when something that is no
    directory is in the way.
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(top).st_mode)
        done = ""
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            if part == "..":
                raise OutsideError(errno.EXDEV, f"{path!r} must not contain '..'")
            _make_one(top, done, part, mode)
            done = f"{done}/{part}" if done else part
    finally:
        os.close(top)


def _make_one(top: int, parent: str, name: str, mode: int) -> None:
    """Make one directory unless it is there; its mode is set through the descriptor of what was made."""
    whole = f"{parent}/{name}" if parent else name
    try:
        os.close(open_beneath(top, whole, os.O_PATH | os.O_DIRECTORY))
    except FileNotFoundError:
        above = open_beneath(top, parent, os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(name, mode, dir_fd=above)
            made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except FileExistsError:
            # Somebody made it meanwhile, or a dangling symlink is there: the next step says which.
            os.close(open_beneath(top, whole, os.O_PATH | os.O_DIRECTORY))
            return
        finally:
            os.close(above)
        try:
            os.fchmod(made, mode | stat.S_IMODE(os.fstat(made).st_mode) & stat.S_ISGID)
        finally:
            os.close(made)
