"""uvicorn's protocols, with the client's certificate in the ASGI scope.

Neither uvicorn nor gunicorn hands the peer certificate to an application. TLS has verified it against the cluster's CA
before the first byte of a request; here it is read once per connection.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from windlass.websocket import PEER_CERTIFICATE, peer_certificate

HEAD_SECONDS = 30.0
"""How long a client may take from connecting (or from its last answer) to the end of a request's head."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JOIN_BYTES = 1 << 16
"""Bodies up to this size are copied behind their head; a larger one is not worth the copy."""
WRITE_SECONDS = 30.0
"""How long a client may leave a full send buffer untouched before it is cut off (W26)."""


class _HeldHead:
    """One answer's transport: keeps the head until the first of the body, so that both are one TLS record and one write.

    uvicorn writes them apart. Falcon sends the first of a body, be it empty, right after the head.
    """

    __slots__ = ("_begun", "_complete", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport, complete: Callable[[], None]) -> None:
        self._transport = transport
        self._complete = complete
        self._begun = False
        self._head = b""

    def write(self, data: bytes) -> None:
        if not self._begun and data != CONTINUE:
            self._begun, self._head = True, data
            return
        if self._head and len(data) <= JOIN_BYTES:
            data, self._head = self._head + data, b""
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def complete(self) -> None:
        """Send what is held: an answer to HEAD has no body."""
        self.flush()
        self._complete()


class PeerCertificateProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the peer certificate, and a bound on how long a request's head may take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the client's certificate and start the clock for the first head."""
        super().connection_made(transport)
        self._extensions = {PEER_CERTIFICATE: peer_certificate(transport)}
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_headers_complete(self) -> None:
        """Stop the clock: the head is here. Its answer goes out through a transport that joins what belongs together."""
        self._stop_timer()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            held = _HeldHead(self.transport, self.on_response_complete)
            self.cycle.transport = held  # type: ignore[assignment]
            self.cycle.on_response = held.complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)  # resumes writing, so that no sender waits for ever

    def pause_writing(self) -> None:
        """Start the clock for a client that does not take what it asked for."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads on."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.abort()
