"""The accepting side of a SPDY/3.1 session: which streams are open, and what the peer's bytes mean.

No I/O. Feed it what comes and act on the events; after each call, send what `to_send` returns. The peers of Kubernetes
(moby/spdystream) keep no flow-control windows: they send as much as the connection takes and never widen ours. So this
side grants what it has taken, for peers that count, and does not count itself; whoever reads the connection must stop
reading when a stream's data is not taken.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from windlass_hostagent.server.spdy import frames
from windlass_hostagent.server.spdy.frames import Frame, FrameError, FrameReader, FrameType, ResetCode
from windlass_hostagent.server.spdy.headers import HeaderReader, HeaderWriter

MAX_STREAMS = 2048
CHUNK_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; answer with `accept` or `reset`. `fin`: it will send nothing on it."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class DataReceived:
    """The peer sent data; with `fin` its last."""

    stream_id: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer ended a stream at once."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PeerLeaves:
    """The peer opens no more streams."""


Event = StreamOpened | DataReceived | StreamReset | PeerLeaves


@dataclass(slots=True)
class _Stream:
    receives: bool = True
    sends: bool = True


@dataclass(slots=True)
class SpdySession:
    """One session. Streams are the peer's, with odd ids that grow."""

    max_streams: int = MAX_STREAMS
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _out: bytearray = field(default_factory=bytearray)
    _last_id: int = 0
    _frames: FrameReader = field(default_factory=FrameReader)
    _reader: HeaderReader = field(default_factory=HeaderReader)
    _writer: HeaderWriter = field(default_factory=HeaderWriter)

    def receive(self, data: bytes) -> list[Event]:
        """Take the peer's bytes and return what happened. Raises FrameError or HeaderBlockError: end the session then."""
        events: list[Event] = []
        for frame in self._frames.feed(data):
            event = self._take(frame)
            if event is not None:
                events.append(event)
        return events

    def to_send(self) -> bytes:
        """Return what must be sent now, and forget it."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def accept(self, stream_id: int) -> None:
        """Accept a stream that the peer opened."""
        self._out += frames.syn_reply(stream_id, self._writer.pack({}))

    def send(self, stream_id: int, data: bytes, *, fin: bool = False) -> None:
        """Send data; nothing on a stream that has ended."""
        stream = self._streams.get(stream_id)
        if stream is None or not stream.sends:
            return
        pieces = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)] or [b""]
        for piece in pieces[:-1]:
            self._out += frames.data(stream_id, piece)
        self._out += frames.data(stream_id, pieces[-1], fin=fin)
        if fin:
            stream.sends = False
            self._forget_if_done(stream_id, stream)

    def reset(self, stream_id: int, code: ResetCode) -> None:
        """End a stream at once."""
        if self._streams.pop(stream_id, None) is not None:
            self._out += frames.rst_stream(stream_id, code)

    def taken(self, stream_id: int, count: int) -> None:
        """Say that `count` bytes of a stream have been passed on: the peer may send as many more."""
        if count:
            self._out += frames.window_update(0, count)
            if stream_id in self._streams:
                self._out += frames.window_update(stream_id, count)

    def go_away(self, status: int = 0) -> None:
        """Tell the peer that the session ends."""
        self._out += frames.goaway(self._last_id, status)

    def _take(self, frame: Frame) -> Event | None:
        if frame.type == 0:
            return self._take_data(frame)
        if frame.type == FrameType.SYN_STREAM:
            return self._take_syn_stream(frame)
        if frame.type == FrameType.RST_STREAM:
            return StreamReset(frame.stream_id) if self._streams.pop(frame.stream_id, None) else None
        if frame.type == FrameType.PING:
            self._answer_ping(frame)
        elif frame.type == FrameType.HEADERS:
            self._reader.unpack(frame.payload)  # keeps the compression in step; nobody wants what it says
        elif frame.type == FrameType.GOAWAY:
            return PeerLeaves()
        # SETTINGS, WINDOW_UPDATE, answers to streams that nobody opened, and unknown types: nothing to do
        return None

    def _answer_ping(self, frame: Frame) -> None:
        if len(frame.payload) != 4:
            raise FrameError("a ping without its number")
        (number,) = struct.unpack(">I", frame.payload)
        if number % 2:
            self._out += frames.ping(number)

    def _take_data(self, frame: Frame) -> Event | None:
        stream = self._streams.get(frame.stream_id)
        if stream is None or not stream.receives:
            if frame.stream_id > self._last_id or frame.stream_id % 2 == 0:
                raise FrameError(f"data for stream {frame.stream_id}, which nobody opened")
            return None  # a stream that this side has just ended
        if frame.fin:
            stream.receives = False
            self._forget_if_done(frame.stream_id, stream)
        return DataReceived(frame.stream_id, frame.payload, frame.fin)

    def _take_syn_stream(self, frame: Frame) -> Event | None:
        headers = self._reader.unpack(frame.payload[6:])
        stream_id = frame.stream_id
        if stream_id % 2 == 0 or stream_id <= self._last_id:
            raise FrameError(f"stream {stream_id} is opened after stream {self._last_id}")
        self._last_id = stream_id
        if len(self._streams) >= self.max_streams:
            self._out += frames.rst_stream(stream_id, ResetCode.REFUSED_STREAM)
            return None
        sends = not frame.flags & frames.FLAG_UNIDIRECTIONAL
        self._streams[stream_id] = _Stream(receives=not frame.fin, sends=sends)
        return StreamOpened(stream_id, headers, frame.fin)

    def _forget_if_done(self, stream_id: int, stream: _Stream) -> None:
        if not stream.receives and not stream.sends:
            del self._streams[stream_id]
