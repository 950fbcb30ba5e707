"""Docker's log stream as lines: frames in, lines with their times out."""

import struct
from collections.abc import AsyncIterator, Iterator

from windlass.plugin.interfaces.runtime import LogLine

HEADER = 8
MAX_LINE = 1 << 20
"""A line without an end is handed on in pieces of this size: memory stays bounded (N69)."""
_STREAMS = {1: "stdout", 2: "stderr"}


class FrameParser:
    """Turns chunks into (stream, bytes), by their 8-byte headers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Take a chunk and yield the frames that it completes."""
        self._buffer += chunk
        while len(self._buffer) >= HEADER:
            kind, size = struct.unpack_from(">BxxxI", self._buffer)
            if len(self._buffer) < HEADER + size:
                return
            yield _STREAMS.get(kind, "stdout"), bytes(self._buffer[HEADER : HEADER + size])
            del self._buffer[: HEADER + size]


class TerminalParser:
    """Cuts a terminal's output into lines; every line begins with Docker's timestamp."""

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """Take bytes and yield whole lines."""
        self._partial += data
        while (end := self._partial.find(b"\n")) >= 0 or len(self._partial) >= MAX_LINE:
            cut = end + 1 if 0 <= end < MAX_LINE else MAX_LINE
            yield parse_line("stdout", bytes(self._partial[:cut]))
            del self._partial[:cut]

    def flush(self) -> Iterator[LogLine]:
        """Yield what is left when the stream has ended."""
        if self._partial:
            yield parse_line("stdout", bytes(self._partial))
            self._partial.clear()


def parse_line(stream: str, raw: bytes) -> LogLine:
    """Split `2026-01-01T00:00:00.000000000Z text`."""
    stamp, space, content = raw.partition(b" ")
    if not space or not stamp[:4].isdigit() or not stamp.endswith((b"Z", b"Z\n")):
        return LogLine("", stream, raw)
    return LogLine(stamp.decode(), stream, content)


async def parse(chunks: AsyncIterator[bytes], *, tty: bool) -> AsyncIterator[LogLine]:
    """Parse a whole stream. Without a terminal a frame is one log entry: a line, or 16 KiB of a longer one."""
    frames, terminal = FrameParser(), TerminalParser()
    async for chunk in chunks:
        if tty:
            for line in terminal.feed(chunk):
                yield line
            continue
        for stream, data in frames.feed(chunk):
            yield parse_line(stream, data)
    for line in terminal.flush():
        yield line
