"""CRI's log format: `time stream tag content`. Written by the shim, read by the driver. Standard library only."""

import errno
import os
import stat
import time
from pathlib import Path

MAX_PIECE = 16 * 1024
ROTATE_BYTES = 10 << 20
MAX_FILES = 3


def stamp(nanoseconds: int) -> str:
    """Return a time with nanoseconds, as CRI logs carry it."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos:09d}Z"


def open_log(path: Path, flags: int) -> int:
    """Open a log without following a symlink or waiting for a FIFO's other end. Raises OSError for what is no file."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a plain file")
    return descriptor


def rotated(path: Path, number: int) -> Path:
    """Return the name of an older part; 1 is the newest of them."""
    return path.with_name(f"{path.name}.{number}")


class LogWriter:
    """Appends to one log file and rotates it by size; memory and disk stay bounded whatever is written.

    A log that somebody has replaced by a symlink or a FIFO is moved away by the next rotation, never followed.
    """

    def __init__(self, path: Path, *, rotate_bytes: int = ROTATE_BYTES, max_files: int = MAX_FILES) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._max_files = max_files
        self._partial = {"stdout": bytearray(), "stderr": bytearray()}
        self._file = self._open()
        self._size = os.fstat(self._file).st_size

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            return open_log(self._path, flags)
        except OSError:
            self._path.unlink()
            return open_log(self._path, flags | os.O_EXCL)

    def feed(self, stream: str, data: bytes) -> None:
        """Take output as it comes."""
        head = f"{stamp(time.time_ns())} {stream} ".encode()
        partial = self._partial[stream]
        out = bytearray()
        lines = data.split(b"\n")
        for at, line in enumerate(lines):
            partial += line
            while len(partial) > MAX_PIECE:
                out += head + b"P " + partial[:MAX_PIECE] + b"\n"
                del partial[:MAX_PIECE]
            if at < len(lines) - 1:
                out += head + b"F " + partial + b"\n"
                partial.clear()
        self._write(out)

    def flush(self) -> None:
        """Write what never got its end of line."""
        for stream, partial in self._partial.items():
            if partial:
                self._write(f"{stamp(time.time_ns())} {stream} F ".encode() + partial + b"\n")
                partial.clear()

    def _write(self, data: bytes | bytearray) -> None:
        try:
            self._size += os.write(self._file, data) if data else 0
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # a full disk loses output; it must not end the container
        if self._size >= self._rotate_bytes:
            self._rotate()

    def _rotate(self) -> None:
        os.close(self._file)
        for number in range(self._max_files - 1, 0, -1):
            older = rotated(self._path, number - 1) if number > 1 else self._path
            if os.path.lexists(older):
                older.replace(rotated(self._path, number))
        if self._max_files <= 1:
            self._path.unlink(missing_ok=True)
        self._file, self._size = self._open(), 0


def parse_line(line: bytes) -> tuple[str, str, bytes, bool] | None:
    """Return (time, stream, content, whole) of a line without its end; None for a line in another format."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    return parts[0].decode(errors="replace"), parts[1].decode(), parts[3], parts[2] != b"P"
