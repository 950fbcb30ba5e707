"""Reads a CRI log file: the last lines, those since a time, and what still comes. Bounded memory whatever it holds."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from windlass.clock import parse_rfc3339
from windlass.plugin.interfaces.runtime import LogLine
from windlass_runtime.process.crilog import MAX_FILES, MAX_PIECE, open_log, parse_line, rotated
from windlass_runtime.process.events import DirectoryWatch

CHUNK = 256 * 1024
LONGEST = MAX_PIECE + 256
"""What a line of ours can have; a longer one is not of ours, and is skipped."""
BATCH = 1000
TAIL_BYTES = 64 << 20
"""How far back the last lines are looked for: a file of another's making may be of any size."""


def _seconds(stamp: str) -> float:
    """Parse a stamp with nanoseconds into UNIX seconds; 0 for what is none."""
    try:
        return parse_rfc3339(stamp[:26].rstrip("Z") + "+00:00").timestamp()
    except ValueError:
        return 0.0


class LogReader:
    """Reads whole lines of one file from where it last stopped; follows a rotation to the new file.

    What is no plain file (a symlink, a FIFO) is read as nothing. With `most`, only the last bytes of a file are read.
    """

    def __init__(self, path: Path, most: int = -1) -> None:
        self._path = path
        self._most = most
        self._file = -1
        self._rest = b""

    def read(self) -> Iterator[LogLine]:
        """Yield the lines that have been completed since the last call."""
        if self._file < 0 and not self._open():
            return
        yield from self._drain()
        while self._replaced() and self._open():
            yield from self._drain()

    def _open(self) -> bool:
        self.close()
        with contextlib.suppress(OSError):
            self._file = open_log(self._path, os.O_RDONLY)
            if 0 <= self._most < os.fstat(self._file).st_size:
                os.lseek(self._file, -self._most, os.SEEK_END)
                self._rest = b"x" * LONGEST  # what is left of the line in whose middle this is
        return self._file >= 0

    def _replaced(self) -> bool:
        try:
            return self._path.lstat().st_ino != os.fstat(self._file).st_ino
        except OSError:
            return False

    def _drain(self) -> Iterator[LogLine]:
        while chunk := os.read(self._file, CHUNK):
            *whole, rest = (self._rest + chunk).split(b"\n")
            self._rest = rest if len(rest) <= LONGEST else b"x" * LONGEST
            for raw in whole:
                parsed = parse_line(raw) if len(raw) < LONGEST else None
                if parsed is not None:
                    stamp, stream, content, complete = parsed
                    yield LogLine(stamp, stream, content + (b"\n" if complete else b""))

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._rest = -1, b""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a log is wanted: lines since a time (UNIX seconds), at most the last `tail` (-1: all)."""

    since: float = 0.0
    tail: int = -1

    def of(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Return those lines."""
        wanted = (line for line in lines if self.since <= 0 or _seconds(line.timestamp) >= self.since)
        return iter(deque(wanted, maxlen=self.tail)) if self.tail >= 0 else wanted


def _history(path: Path, reader: LogReader, most: int) -> Iterator[LogLine]:
    """Yield all there is, the oldest part first."""
    for number in range(MAX_FILES * 4, 0, -1):
        part = rotated(path, number)
        if os.path.lexists(part):
            old = LogReader(part, most)
            yield from old.read()
            old.close()
    yield from reader.read()


def _batch(lines: Iterator[LogLine]) -> list[LogLine]:
    return [line for _, line in zip(range(BATCH), lines, strict=False)]


async def read_log(
    path: Path, wanted: Wanted, *, watch: DirectoryWatch | None, ended: Callable[[], Awaitable[bool]]
) -> AsyncIterator[LogLine]:
    """Yield the log, rotated parts first; with a `watch` of its directory, go on until `ended` says so."""
    most = TAIL_BYTES if wanted.tail >= 0 else -1
    reader = LogReader(path, most)
    try:
        with watch.changes(str(path.parent)) if watch else contextlib.nullcontext() as changed:
            lines = wanted.of(_history(path, reader, most))
            while batch := await asyncio.to_thread(_batch, lines):
                for line in batch:
                    yield line
            while changed is not None:
                changed.clear()
                over = await ended()
                lines = reader.read()
                while batch := await asyncio.to_thread(_batch, lines):
                    for line in batch:
                        yield line
                if over:
                    return
                await changed.wait()
    finally:
        reader.close()
