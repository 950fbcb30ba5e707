"""The last steps from a forked process to a container's program: who it is, what it may, then exec."""

import base64
import errno
import fcntl
import os
import signal
import socket
import struct
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass_runtime.process import capabilities, identity
from windlass_runtime.process import syscalls as sys_

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441
Config = Mapping[str, Any]


def open_terminal() -> tuple[int, int]:
    """Return the two ends of a new terminal of the file system this process is in: (ours, the program's)."""
    ours = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(ours, TIOCSPTLCK, struct.pack("i", 0))
    theirs = fcntl.ioctl(ours, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return ours, theirs


def take_terminal(theirs: int, uid: int) -> None:
    """Make a terminal this session's, and the standard streams."""
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    os.fchown(theirs, uid, -1)
    use_streams(theirs, theirs, theirs)


def use_streams(*descriptors: int) -> None:
    """Make three descriptors the standard streams."""
    moved = [fcntl.fcntl(d, fcntl.F_DUPFD_CLOEXEC, 10) for d in descriptors]
    for target, descriptor in enumerate(moved):
        os.dup2(descriptor, target)


def reset_signals() -> None:
    """Give every signal its default effect again; Python ignores some, and exec would keep that."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become(config: Config, argv: Sequence[str], *, terminal: int = -1, new_directory: bool = False) -> None:
    """Turn into the program. Never returns; raises OSError with what users know when it cannot."""
    who = identity.resolve(config.get("user") or "", config.get("supplemental_groups") or ())
    isolated = bool(config["namespaces"])
    working_dir = config.get("working_dir") or "/"
    if new_directory and isolated:
        Path(working_dir).mkdir(parents=True, exist_ok=True)
    if terminal >= 0:
        take_terminal(terminal, who.uid if os.geteuid() == 0 else -1)
    env = {"PATH": PATH, "HOSTNAME": socket.gethostname(), "HOME": who.home, **config["env"]}
    if terminal >= 0:
        env.setdefault("TERM", "xterm")
    program = base64.b64decode(config.get("seccomp") or "")
    reset_signals()
    if isolated:
        capabilities.confine(config["capabilities"])
    if program and not config.get("no_new_privileges"):
        sys_.seccomp_filter(program)  # before the privileges that it needs are gone
    if os.geteuid() == 0 and (isolated or config.get("user")):
        identity.become(who)
    die_with_parent()  # a change of user takes it back, so after that
    os.chdir(working_dir)
    if config.get("no_new_privileges"):
        sys_.no_new_privileges()
        if program:
            sys_.seccomp_filter(program)
    _exec(argv, env)


def _exec(argv: Sequence[str], env: Mapping[str, str]) -> None:
    try:
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 - the pod's own command, no shell
    except FileNotFoundError:
        if "/" in argv[0]:
            why = f'exec: "{argv[0]}": stat {argv[0]}: no such file or directory'
        else:
            why = f'exec: "{argv[0]}": executable file not found in $PATH'
        raise OSError(errno.ENOENT, why) from None
    except OSError as error:
        raise OSError(error.errno, f'exec: "{argv[0]}": {(error.strerror or "").lower()}') from None


def failure(error: BaseException) -> bytes:
    """Return what an error says to users."""
    text = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
    return text.encode(errors="replace")


def die_with_parent() -> None:
    """Be killed when the process that started this one is gone."""
    sys_.prctl(sys_.PR_SET_PDEATHSIG, signal.SIGKILL)
