"""Frames of SPDY/3.1: what is on the wire, read and written without state.

Source: the SPDY protocol, draft 3.1, sections 2.2 and 2.6. All numbers are big-endian; a frame is eight bytes of head
(control bit, version and type, or stream id; flags; 24 bits of length) and a payload.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from windlass.errors import WindlassError

VERSION = 3
CONTROL_BIT = 0x80000000
ID_MASK = 0x7FFFFFFF
FLAG_FIN = 0x01
FLAG_UNIDIRECTIONAL = 0x02
HEAD_BYTES = 8
MAX_CONTROL_BYTES = 64 * 1024
MAX_DATA_BYTES = 1024 * 1024


class FrameType(IntEnum):
    """Control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class ResetCode(IntEnum):
    """Why a stream is reset."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    UNSUPPORTED_VERSION = 4
    CANCEL = 5
    INTERNAL_ERROR = 6
    FLOW_CONTROL_ERROR = 7
    STREAM_IN_USE = 8
    STREAM_ALREADY_CLOSED = 9
    FRAME_TOO_LARGE = 11


class FrameError(WindlassError):
    """Bytes that are no SPDY/3 frame, or one beyond the bounds. The session cannot go on."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `type` is 0 for data; `stream_id` is 0 where the frame is not about one stream."""

    type: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def fin(self) -> bool:
        """Whether it is the sender's last on its stream."""
        return bool(self.flags & FLAG_FIN) and self.type in (
            0,
            FrameType.SYN_STREAM,
            FrameType.SYN_REPLY,
            FrameType.HEADERS,
        )


_ABOUT_A_STREAM = frozenset(
    {FrameType.SYN_STREAM, FrameType.SYN_REPLY, FrameType.RST_STREAM, FrameType.HEADERS, FrameType.WINDOW_UPDATE}
)


class FrameReader:
    """Cuts a stream of bytes into frames. Holds at most one frame that is not complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are now complete. Raises FrameError as soon as a head shows what cannot be."""
        self._buffer += data
        while len(self._buffer) >= HEAD_BYTES:
            first, second = struct.unpack_from(">II", self._buffer)
            length = second & 0xFFFFFF
            _check(first, length)
            if len(self._buffer) < HEAD_BYTES + length:
                return
            payload = bytes(self._buffer[HEAD_BYTES : HEAD_BYTES + length])
            del self._buffer[: HEAD_BYTES + length]
            yield _frame(first, second >> 24, payload)


def _check(first: int, length: int) -> None:
    if not first & CONTROL_BIT:
        if length > MAX_DATA_BYTES:
            raise FrameError(f"a data frame of {length} bytes is larger than {MAX_DATA_BYTES}")
        return
    version = (first >> 16) & 0x7FFF
    if version != VERSION:
        raise FrameError(f"a frame of SPDY version {version}, not {VERSION}")
    if length > MAX_CONTROL_BYTES:
        raise FrameError(f"a control frame of {length} bytes is larger than {MAX_CONTROL_BYTES}")


def _frame(first: int, flags: int, payload: bytes) -> Frame:
    if not first & CONTROL_BIT:
        return Frame(0, flags, first & ID_MASK, payload)
    kind, stream_id = first & 0xFFFF, 0
    if kind in _ABOUT_A_STREAM:
        if len(payload) < 4:
            raise FrameError(f"a control frame of type {kind} is too short")
        stream_id = struct.unpack_from(">I", payload)[0] & ID_MASK
        payload = payload[4:]
    return Frame(kind, flags, stream_id, payload)


def control(kind: FrameType, payload: bytes, flags: int = 0) -> bytes:
    """Return a control frame."""
    return struct.pack(">II", CONTROL_BIT | VERSION << 16 | kind, flags << 24 | len(payload)) + payload


def data(stream_id: int, payload: bytes, *, fin: bool = False) -> bytes:
    """Return a data frame; at most 16 MiB."""
    return struct.pack(">II", stream_id, (FLAG_FIN if fin else 0) << 24 | len(payload)) + payload


def syn_stream(stream_id: int, block: bytes, *, fin: bool = False) -> bytes:
    """Return the frame that opens a stream, of highest priority."""
    return control(FrameType.SYN_STREAM, struct.pack(">IIH", stream_id, 0, 0) + block, FLAG_FIN if fin else 0)


def syn_reply(stream_id: int, block: bytes) -> bytes:
    """Return the frame that accepts a stream."""
    return control(FrameType.SYN_REPLY, struct.pack(">I", stream_id) + block)


def rst_stream(stream_id: int, code: ResetCode) -> bytes:
    """Return the frame that ends a stream at once."""
    return control(FrameType.RST_STREAM, struct.pack(">II", stream_id, code))


def ping(number: int) -> bytes:
    """Return a ping, or the answer to one."""
    return control(FrameType.PING, struct.pack(">I", number))


def goaway(last_stream_id: int, status: int = 0) -> bytes:
    """Return the frame that says that no more streams are taken. `status`: 0 fine, 1 protocol error, 2 internal error."""
    return control(FrameType.GOAWAY, struct.pack(">II", last_stream_id, status))


def window_update(stream_id: int, taken: int) -> bytes:
    """Return the frame that lets a peer with flow control send `taken` more bytes."""
    return control(FrameType.WINDOW_UPDATE, struct.pack(">II", stream_id, taken))
