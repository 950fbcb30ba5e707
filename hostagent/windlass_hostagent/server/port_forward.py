"""Port-forward over a WebSocket: kubectl's SPDY tunnel, and the channel pairs of other clients."""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from windlass.apimachinery.channels import ChannelError, Codec
from windlass.errors import BadRequestError
from windlass.logs import get_logger
from windlass.websocket import INTERNAL_ERROR, PeerGoneError, WebSocketPeer, first_of
from windlass_hostagent.server.forwarding import Connect, ForwardedConnection
from windlass_hostagent.server.spdy.frames import FrameError, ResetCode
from windlass_hostagent.server.spdy.headers import HeaderBlockError
from windlass_hostagent.server.spdy.session import (
    DataReceived,
    Event,
    PeerLeaves,
    SpdySession,
    StreamOpened,
    StreamReset,
)

MAX_PORTS = 100
MAX_UNPAIRED = 64
log = get_logger(__name__)


def parse_ports(values: Sequence[str]) -> list[int]:
    """Read the `ports` parameters: numbers, also several with commas. Raises BadRequestError."""
    ports = [parse_port(text) for value in values for text in value.split(",")]
    if not ports:
        raise BadRequestError("query parameter 'ports' is required")
    if len(ports) > MAX_PORTS:
        raise BadRequestError(f"at most {MAX_PORTS} ports can be forwarded at once")
    return ports


def parse_port(text: str) -> int:
    """Read one port number. Raises BadRequestError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise BadRequestError(f"port {text[:20]!r} is not a number from 1 to 65535")
    return int(text)


class ChannelForward:
    """Channels 2i and 2i+1 are data and errors of the i-th port; both begin with the port's number."""

    def __init__(self, peer: WebSocketPeer, codec: Codec, ports: Sequence[int], connect: Connect) -> None:
        self._peer = peer
        self._codec = codec
        self._connect = connect
        self._connections = [self._connection(index, port) for index, port in enumerate(ports)]

    async def run(self) -> None:
        """Forward until the client goes. The end of one connection is an empty message on its error channel."""
        try:
            await self._announce()
            await first_of(self._run_connections(), self._take_input(), self._peer.lost())
        except (PeerGoneError, ChannelError) as error:
            log.debug("port_forward_ended", reason=str(error))
        finally:
            await self._peer.close()

    async def _announce(self) -> None:
        for index, connection in enumerate(self._connections):
            number = struct.pack("<H", connection.port)
            for channel in (2 * index, 2 * index + 1):
                await self._peer.send(self._codec.encode(channel, number))

    async def _run_connections(self) -> None:
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(self._run_one(connection))

    async def _run_one(self, connection: ForwardedConnection) -> None:
        try:
            await connection.run(self._connect)
        except PeerGoneError as error:
            log.debug("port_forward_ended", reason=str(error))

    async def _take_input(self) -> None:
        while (message := await self._peer.receive()) is not None:
            channel, data = self._codec.decode(message)
            index, errors = divmod(channel, 2)
            if index >= len(self._connections):
                raise ChannelError(f"a message on channel {channel}, which there is not")
            if not errors:
                await self._connections[index].put(data)

    def _connection(self, index: int, port: int) -> ForwardedConnection:
        async def send_data(data: bytes, _last: bool) -> None:  # noqa: FBT001 - the shape of SendData
            if data:
                await self._peer.send(self._codec.encode(2 * index, data))

        async def send_error(message: str) -> None:
            if message:
                await self._peer.send(self._codec.encode(2 * index + 1, message.encode()))

        return ForwardedConnection(port, send_data=send_data, send_error=send_error)


@dataclass(slots=True)
class _Pair:
    """The streams of one connection, until both are there."""

    port: int
    data: int = 0
    error: int = 0


class SpdyForward:
    """kubectl's way: SPDY frames inside binary messages; each connection is a data and an error stream of one requestID."""

    def __init__(self, peer: WebSocketPeer, connect: Connect, session: SpdySession | None = None) -> None:
        self._peer = peer
        self._connect = connect
        self._session = session or SpdySession()
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._open: dict[int, ForwardedConnection] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._error_streams: dict[int, int] = {}
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Forward until the client goes."""
        try:
            async with asyncio.TaskGroup() as group:
                await first_of(self._take_frames(group), self._peer.lost())
                for task in self._running.values():
                    task.cancel()
        except* PeerGoneError:
            log.debug("port_forward_client_went_away")
        except* (FrameError, HeaderBlockError) as errors:
            log.info("port_forward_refused_frames", error=str(errors.exceptions[0]))
            self._session.go_away(1)
            await self._farewell(str(errors.exceptions[0]))
        finally:
            await self._peer.close()

    async def _farewell(self, reason: str) -> None:
        try:
            await self._flush()
            await self._peer.close(INTERNAL_ERROR, reason)
        except PeerGoneError:
            log.debug("port_forward_client_went_away")

    async def _take_frames(self, group: asyncio.TaskGroup) -> None:
        while (message := await self._peer.receive()) is not None:
            raw = message.encode("latin-1") if isinstance(message, str) else message
            for event in self._session.receive(raw):
                await self._act(event, group)
            await self._flush()

    async def _act(self, event: Event, group: asyncio.TaskGroup) -> None:
        if isinstance(event, StreamOpened):
            self._open_stream(event, group)
        elif isinstance(event, DataReceived):
            connection = self._open.get(event.stream_id)
            if connection is not None:
                await connection.put(event.data)
                if event.fin:
                    await connection.put_end()
        elif isinstance(event, StreamReset):
            self._cancel(self._error_streams.get(event.stream_id, event.stream_id))
        elif isinstance(event, PeerLeaves):
            log.debug("port_forward_client_leaves")

    def _open_stream(self, event: StreamOpened, group: asyncio.TaskGroup) -> None:
        kind, request = event.headers.get("streamtype", ""), event.headers.get("requestid", "")
        try:
            port = parse_port(event.headers.get("port", ""))
        except BadRequestError:
            port = 0
        key = (request, event.headers.get("port", ""))
        pair = self._pairs.setdefault(key, _Pair(port))
        taken = pair.data if kind == "data" else pair.error
        if not port or kind not in ("data", "error") or taken or len(self._pairs) > MAX_UNPAIRED:
            self._session.reset(event.stream_id, ResetCode.PROTOCOL_ERROR)
            if not (pair.data or pair.error):
                del self._pairs[key]
            return
        self._session.accept(event.stream_id)
        if kind == "data":
            pair.data = event.stream_id
        else:
            pair.error = event.stream_id
        if pair.data and pair.error:
            del self._pairs[key]
            self._start(pair, group)

    def _start(self, pair: _Pair, group: asyncio.TaskGroup) -> None:
        connection = self._connection(pair)
        self._open[pair.data] = connection
        self._error_streams[pair.error] = pair.data
        self._running[pair.data] = group.create_task(self._run_one(connection, pair))

    async def _run_one(self, connection: ForwardedConnection, pair: _Pair) -> None:
        try:
            await connection.run(self._connect)
        finally:
            self._open.pop(pair.data, None)
            self._running.pop(pair.data, None)
            self._error_streams.pop(pair.error, None)
            # A client that reset its data stream still waits for the end of the error stream.
            self._session.send(pair.error, b"", fin=True)
            await self._flush()

    def _cancel(self, data_stream: int) -> None:
        task = self._running.get(data_stream)
        if task is not None:
            task.cancel()

    def _connection(self, pair: _Pair) -> ForwardedConnection:
        async def send_data(data: bytes, last: bool) -> None:  # noqa: FBT001 - the shape of SendData
            self._session.send(pair.data, data, fin=last)
            await self._flush()

        async def send_error(message: str) -> None:
            self._session.send(pair.error, message.encode(), fin=True)
            await self._flush()

        async def taken(count: int) -> None:
            self._session.taken(pair.data, count)
            await self._flush()

        return ForwardedConnection(pair.port, send_data=send_data, send_error=send_error, taken=taken, ends_halves=True)

    async def _flush(self) -> None:
        """Send what the session has to say, in its order; waits while the client does not take it."""
        async with self._sending:
            if out := self._session.to_send():
                await self._peer.send(out)
