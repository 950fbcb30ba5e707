"""Docker's log stream as lines: frames of several containers' streams in, whole lines with their times out."""

import struct
from collections.abc import AsyncIterator, Iterator

from windlass.plugin.interfaces.runtime import LogLine

HEADER = 8
MAX_LINE = 1 << 20
"""A line without an end is handed on in pieces of this size: memory stays bounded (N69)."""
_STREAMS = {1: "stdout", 2: "stderr"}


class FrameParser:
    """Turns chunks into (stream, bytes): 8-byte headers without a terminal, plain output with one."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Take a chunk and yield the frames that it completes."""
        if self._tty:
            if chunk:
                yield "stdout", chunk
            return
        self._buffer += chunk
        while len(self._buffer) >= HEADER:
            kind, size = struct.unpack_from(">BxxxI", self._buffer)
            if len(self._buffer) < HEADER + size:
                return
            yield _STREAMS.get(kind, "stdout"), bytes(self._buffer[HEADER : HEADER + size])
            del self._buffer[: HEADER + size]


class LineParser:
    """Joins frames of each stream into lines that begin with Docker's timestamp."""

    def __init__(self) -> None:
        self._partial: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def feed(self, stream: str, data: bytes) -> Iterator[LogLine]:
        """Take a frame's bytes and yield whole lines."""
        partial = self._partial[stream]
        partial += data
        while (end := partial.find(b"\n")) >= 0 or len(partial) >= MAX_LINE:
            cut = end + 1 if 0 <= end < MAX_LINE else MAX_LINE
            yield parse_line(stream, bytes(partial[:cut]))
            del partial[:cut]

    def flush(self) -> Iterator[LogLine]:
        """Yield what is left when the stream has ended."""
        for stream, partial in self._partial.items():
            if partial:
                yield parse_line(stream, bytes(partial))
                partial.clear()


def parse_line(stream: str, raw: bytes) -> LogLine:
    """Split `2026-01-01T00:00:00.000000000Z text`."""
    stamp, space, content = raw.partition(b" ")
    if not space or not stamp[:4].isdigit() or not stamp.endswith((b"Z", b"Z\n")):
        return LogLine("", stream, raw)
    return LogLine(stamp.decode(), stream, content)


async def parse(chunks: AsyncIterator[bytes], *, tty: bool) -> AsyncIterator[LogLine]:
    """Parse a whole stream."""
    frames, lines = FrameParser(tty=tty), LineParser()
    async for chunk in chunks:
        for stream, data in frames.feed(chunk):
            for line in lines.feed(stream, data):
                yield line
    for line in lines.flush():
        yield line
