"""Messages between a shim and those attached to its container: type (1 byte), length (4), content. Standard library only."""

import struct
from collections.abc import Iterator

STDIN, STDIN_END, RESIZE, STDOUT, STDERR, EXIT = range(6)
HEADER = struct.Struct("=BI")
SIZE = struct.Struct("=HH")
CODE = struct.Struct("=i")
MAX_CONTENT = 64 * 1024


def frame(kind: int, content: bytes = b"") -> bytes:
    """Pack one message."""
    return HEADER.pack(kind, len(content)) + content


class FrameReader:
    """Cuts a byte stream into messages. Raises ValueError for one that is too long."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the messages that have become complete."""
        self._rest += data
        while len(self._rest) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._rest)
            if length > MAX_CONTENT:
                raise ValueError(f"a message of {length} bytes")
            end = HEADER.size + length
            if len(self._rest) < end:
                return
            content = bytes(self._rest[HEADER.size : end])
            del self._rest[:end]
            yield kind, content
