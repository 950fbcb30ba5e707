"""The gRPC health protocol (grpc.health.v1.Health/Check) over HTTP/2, plain text. One connection, bounded answer."""

import asyncio
import struct

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from windlass_hostagent.pods.probes.dial import host_text
from windlass_hostagent.pods.probes.results import Outcome, Result
from windlass_hostagent.pods.probes.spec import ProbeError

MAX_ANSWER_BYTES = 64 * 1024
UNIMPLEMENTED = "12"
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def encode_request(service: str) -> bytes:
    """Write a HealthCheckRequest with gRPC's length prefix. Pure."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + struct.pack(">I", len(message)) + message


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def decode_status(body: bytes) -> int:
    """Read the status out of a HealthCheckResponse with its prefix; 0 when it says none. Raises ProbeError. Pure."""
    if len(body) < 5 or body[0] != 0 or len(body) < 5 + int.from_bytes(body[1:5], "big"):
        raise ProbeError("malformed gRPC response")
    message = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    if not message:
        return 0
    if len(message) < 2 or message[0] != 0x08 or message[1] > 0x7F:
        raise ProbeError("malformed HealthCheckResponse")
    return message[1]


class _Call(asyncio.Protocol):
    """One unary call."""

    def __init__(self, authority: str, service: str) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._authority = authority
        self._service = service
        self._seen = 0
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connection.initiate_connection()
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(
            stream,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/grpc.health.v1.Health/Check"),
                (":authority", self._authority),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("user-agent", "kube-probe/1.32"),
            ],
        )
        self._connection.send_data(stream, encode_request(self._service), end_stream=True)
        transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        if self._seen > MAX_ANSWER_BYTES:
            self._finish(ProbeError("answer without end"))
            return
        try:
            for event in self._connection.receive_data(data):
                self._take(event)
        except (h2.exceptions.ProtocolError, UnicodeDecodeError) as error:
            self._finish(ProbeError(f"not HTTP/2: {error}"))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._connection.data_to_send())

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self.headers.update({str(name): str(value) for name, value in event.headers or ()})
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data or b""
        elif isinstance(event, h2.events.StreamEnded):
            self._finish(None)
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            self._finish(ProbeError("connection closed"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ProbeError("connection closed"))

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
        if self._transport is not None:
            self._transport.abort()


def outcome_of(headers: dict[str, str], body: bytes) -> Outcome:
    """Judge a whole answer. Pure."""
    code = headers.get("grpc-status", "")
    if headers.get(":status") != "200":
        return Outcome(Result.FAILURE, f"error: unexpected HTTP status {headers.get(':status', 'none')}")
    if code == UNIMPLEMENTED:
        message = f"this server does not implement the grpc health protocol (grpc.health.v1.Health): {code}"
        return Outcome(Result.FAILURE, message)
    if code not in ("", "0"):
        return Outcome(Result.FAILURE, f"service unhealthy: rpc error: code = {code} {headers.get('grpc-message', '')}")
    status = decode_status(body)
    if status == 1:
        return Outcome(Result.SUCCESS)
    return Outcome(Result.FAILURE, f'service unhealthy (responded with "{STATUSES.get(status, status)}")')


async def probe_grpc(host: str, port: int, service: str, timeout_seconds: float) -> Outcome:
    """Ask for the health of a service once. Never raises for what the other side does."""
    authority = f"{host_text(host)}:{port}"
    lost = f'timeout: failed to connect service "{authority}" within {timeout_seconds:g}s'
    try:
        async with asyncio.timeout(timeout_seconds):
            call = _Call(authority, service)
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: call, host, port)
            try:
                await call.done
            finally:
                transport.abort()
            return outcome_of(call.headers, bytes(call.body))
    except (OSError, TimeoutError) as error:
        reason = "context deadline exceeded" if isinstance(error, TimeoutError) else str(error)
        return Outcome(Result.FAILURE, f"{lost}: {reason}")
    except ProbeError as error:
        return Outcome(Result.FAILURE, f"error: {error}")
