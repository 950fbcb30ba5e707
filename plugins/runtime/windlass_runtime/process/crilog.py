"""CRI's log format: `time stream tag content`. Written by the shim, read by the driver. Standard library only."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

MAX_PIECE = 16 * 1024
ROTATE_BYTES = 10 << 20


def now_stamp() -> str:
    """Return the time with nanoseconds, as CRI logs carry it."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


class LogWriter:
    """Appends to one log file and rotates it to `<name>.1` at 10 MiB; memory stays bounded whatever is written."""

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._partial = {"stdout": bytearray(), "stderr": bytearray()}
        self._file = path.open("ab", buffering=0)

    def feed(self, stream: str, data: bytes) -> None:
        """Take output as it comes."""
        partial = self._partial[stream]
        partial += data
        out = bytearray()
        while (end := partial.find(b"\n")) >= 0 or len(partial) >= MAX_PIECE:
            whole = 0 <= end <= MAX_PIECE
            piece = bytes(partial[:end] if whole else partial[:MAX_PIECE])
            del partial[: end + 1 if whole else MAX_PIECE]
            out += f"{now_stamp()} {stream} {'F' if whole else 'P'} ".encode() + piece + b"\n"
        self._write(out)

    def flush(self) -> None:
        """Write what never got its end of line."""
        for stream, partial in self._partial.items():
            if partial:
                self._write(f"{now_stamp()} {stream} F ".encode() + bytes(partial) + b"\n")
                partial.clear()

    def _write(self, data: bytes | bytearray) -> None:
        if not data:
            return
        self._file.write(data)
        if self._file.tell() >= self._rotate_bytes:
            self._file.close()
            os.replace(self._path, self._path.with_suffix(".log.1"))  # noqa: PTH105 - atomic, and named so
            self._file = self._path.open("ab", buffering=0)


def parse_line(line: bytes) -> tuple[str, str, bytes, bool] | None:
    """Return (time, stream, content, whole) of a line without its end; None for a line in another format."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    return parts[0].decode(), parts[1].decode(), parts[3], parts[2] != b"P"
