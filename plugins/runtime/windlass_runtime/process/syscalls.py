"""The few system calls that Python 3.11 does not offer. Standard library only: the shim imports this."""

import ctypes
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
IN_MODIFY, IN_CREATE, IN_MOVED_TO = 0x2, 0x100, 0x80
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE, _OPEN_TREE_CLONE, _RESOLVE_IN_ROOT = -100, 0x1000, 0x8000, 1, 0x10
_MOVE_FROM_FD, _MOVE_TO_FD = 0x4, 0x40
_MOUNT_ATTR_RDONLY = 1
_SECCOMP_SET_MODE_FILTER = 1
_NUMBERS = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126, "bpf": 321},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91, "bpf": 280},
}
_EVERYWHERE = {"open_tree": 428, "move_mount": 429, "openat2": 437, "mount_setattr": 442}
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)


def _call(name: str, *arguments: object, what: str = "") -> int:
    number = _EVERYWHERE.get(name) or _NUMBERS[os.uname().machine][name]
    _libc.syscall.restype = ctypes.c_long
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what or name)


def unshare(flags: int) -> None:
    """Leave the given namespaces for new ones. Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(path: str) -> None:
    """Enter the namespace that a path names. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, 0), f"setns {path}")
    finally:
        os.close(descriptor)


def enter(pidfd: int, flags: int) -> None:
    """Enter several namespaces of the process behind a pidfd. Raises OSError."""
    _check(_libc.setns(pidfd, flags), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount. Raises OSError naming the target."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    _check(result, f"mount {target}")


def unmount(target: str) -> None:
    """Unmount, at the latest when nobody uses it any more. Raises OSError."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def clone_mount(path: str) -> int:
    """Return a descriptor of a copy of what is mounted at a path, with what lies below, mounted nowhere yet."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return _call("open_tree", _AT_FDCWD, os.fsencode(path), ctypes.c_uint(flags), what=path)


def attach_mount(mounted: int, target: int, what: str) -> None:
    """Mount a copy over the file or directory of a descriptor. Raises OSError."""
    _call("move_mount", mounted, b"", target, b"", ctypes.c_uint(_MOVE_FROM_FD | _MOVE_TO_FD), what=f"mount {what}")


def set_mount(mounted: int, *, readonly: bool = False, recursive: bool = False, propagation: int = 0) -> None:
    """Make a mounted copy read-only (what lies below only if `recursive`), or set how mounts pass through all of it."""
    if readonly:
        attributes = struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
        flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
        _call("mount_setattr", mounted, b"", flags, attributes, ctypes.c_size_t(32))
    if propagation:
        attributes = struct.pack("=QQQQ", 0, 0, propagation, 0)
        _call("mount_setattr", mounted, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attributes, ctypes.c_size_t(32))


def open_in_root(root: int, path: str) -> int:
    """Open a path (O_PATH) as if `root` were the root: no symlink and no `..` leads out. Raises OSError."""
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    while True:
        try:
            return _call("openat2", root, os.fsencode(path), how, ctypes.c_size_t(len(how)), what=path)
        except BlockingIOError:
            continue  # a rename or mount somewhere on the machine while `..` was resolved: the kernel says try again


def pivot_root() -> None:
    """Make the current directory the root and let go of the old one. Raises OSError."""
    _call("pivot_root", b".", b".")
    _check(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def prctl(option: int, value: int) -> int:
    """Call prctl and return its result, -1 for an error."""
    return int(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def no_new_privileges() -> None:
    """No set-uid bit or file capability counts from here on. Raises OSError."""
    _check(prctl(PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")


def clear_inheritable(permitted: int) -> None:
    """Hold these capabilities, pass none on by inheritance. Raises OSError."""
    header = struct.pack("=II", 0x20080522, 0)
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    _call("capset", header, struct.pack("=6I", low, low, 0, high, high, 0))


def seccomp_filter(program: bytes) -> None:
    """Load a BPF program as this process's system call filter. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", _SECCOMP_SET_MODE_FILTER, 0, described)


def bpf(command: int, attributes: bytes) -> int:
    """Call bpf and return its result, a descriptor for a load. Raises OSError."""
    return _call("bpf", command, attributes, len(attributes))


def inotify_open() -> int:
    """Return a non-blocking inotify descriptor. Raises OSError."""
    return _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init")


def inotify_watch(descriptor: int, path: str, mask: int) -> int:
    """Watch a path and return the watch's number. Raises OSError."""
    return _check(_libc.inotify_add_watch(descriptor, os.fsencode(path), ctypes.c_uint32(mask)), f"inotify {path}")


def inotify_unwatch(descriptor: int, watch: int) -> None:
    """Stop watching; one that has gone with its directory is fine."""
    _libc.inotify_rm_watch(descriptor, watch)


def eventfd() -> int:
    """Return a non-blocking eventfd. Raises OSError."""
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
