"""Reads a CRI log file: the last lines, those since a time, and what still comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from windlass.clock import Clock, parse_rfc3339
from windlass.plugin.interfaces.runtime import LogLine
from windlass_runtime.process.crilog import parse_line

FOLLOW_SECONDS = 0.1
CHUNK = 256 * 1024


def _seconds(stamp: str) -> float:
    """Parse a stamp with nanoseconds into UNIX seconds."""
    return parse_rfc3339(stamp[:26].rstrip("Z") + "+00:00").timestamp()


class LogReader:
    """Reads whole lines of one file from where it last stopped; follows a rotation to the new file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0
        self._rest = b""

    def read(self) -> Iterator[LogLine]:
        """Yield the lines that have been completed since the last call."""
        try:
            with self._path.open("rb") as file:
                inode = self._path.stat().st_ino
                if inode != self._inode:
                    self._inode, self._offset, self._rest = inode, 0, b""
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    yield from self._lines(chunk)
        except FileNotFoundError:
            return

    def _lines(self, chunk: bytes) -> Iterator[LogLine]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for raw in whole:
            parsed = parse_line(raw)
            if parsed is not None:
                stamp, stream, content, complete = parsed
                yield LogLine(stamp, stream, content + (b"\n" if complete else b""))


def select(lines: Iterator[LogLine], since: float, tail: int) -> list[LogLine]:
    """Return the lines wanted at the start. Bounded by `tail` when there is one."""
    wanted = (line for line in lines if since <= 0 or _seconds(line.timestamp) >= since)
    return list(deque(wanted, maxlen=tail)) if tail >= 0 else list(wanted)


async def read_log(
    path: Path, *, since: float, tail: int, ended: Callable[[], bool] | None, clock: Clock
) -> AsyncIterator[LogLine]:
    """Yield the log, rotated part first; with `ended`, go on until it says so."""
    old = LogReader(path.with_suffix(".log.1"))
    reader = LogReader(path)
    first = await asyncio.to_thread(lambda: select(iter([*old.read(), *reader.read()]), since, tail))
    for line in first:
        yield line
    over = ended is None
    while not over:
        assert ended is not None
        over = await asyncio.to_thread(ended)
        for line in await asyncio.to_thread(lambda: list(reader.read())):
            yield line
        if not over:
            await clock.sleep(FOLLOW_SECONDS)
