"""Records on disk and who a process is. Standard library only: the shim imports this."""

import array
import json
import os
import socket
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a record; None when it is not there."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None


def boot_id() -> str:
    """Return what names this boot of the machine: process ids and start times begin anew with each."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int:
    """Return a process's start time in clock ticks, which with its pid names it for good; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def receive(connection: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Return a message with its descriptors, none of which a program that is executed later gets.

    `socket.recv_fds` drops its flags before Python 3.12, and with them the close-on-exec.
    """
    numbers = array.array("i")
    message, extra, _, _ = connection.recvmsg(size, socket.CMSG_SPACE(most * numbers.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return message, list(numbers)
