"""WebSockets on the server side, for the API server and the host agent alike.

`PeerWebSocketProtocol` gives an ASGI application what uvicorn keeps to itself: the client's certificate, and word that
the connection is gone while nobody reads from it (a reader that waits for a slow process would never know).
`WebSocketPeer` is one connection as plain calls: nothing is read ahead, so a slow reader slows the sender down.
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from windlass.errors import UnauthorizedError, WindlassError

PEER_CERTIFICATE = "windlass.peercert"
LOST = "windlass.lost"
DENIAL = "websocket.http.response"
BEARER_PREFIX = "base64url.bearer.authorization.k8s.io."
SETTINGS: Mapping[str, Any] = {"ws_ping_interval": 20.0, "ws_ping_timeout": None, "ws_per_message_deflate": False}
"""uvicorn's settings for long streams: a ping finds a vanished peer out, but a peer that is slow to answer is no dead one."""
NORMAL, GOING_AWAY, INTERNAL_ERROR = 1000, 1001, 1011
MAX_REASON_BYTES = 120
Message = bytes | str
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class PeerGoneError(WindlassError):
    """The other side of a WebSocket has gone."""


def peer_certificate(transport: asyncio.BaseTransport) -> dict[str, Any] | None:
    """Return the verified certificate of a connection's client; None when it has shown none."""
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    certificate: dict[str, Any] | None = connection.getpeercert() if connection is not None else None
    return certificate or None


class PeerWebSocketProtocol(WSProtocol):
    """WebSockets with the peer certificate and the end of the connection in the scope's extensions."""

    def handle_connect(self, event: Any) -> None:
        """Begin a WebSocket; the application starts only after this returns."""
        super().handle_connect(event)
        self._lost = asyncio.Event()
        extensions: dict[str, Any] = {**(self.scope.get("extensions") or {})}
        extensions |= {PEER_CERTIFICATE: peer_certificate(self.transport) or {}, LOST: self._lost}
        self.scope["extensions"] = extensions

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        lost = getattr(self, "_lost", None)
        if lost is not None:
            lost.set()
        super().connection_lost(exc)


def bearer_token(offered: Sequence[str]) -> str:
    """Return the token that a browser sends as a subprotocol, '' when there is none. Raises UnauthorizedError."""
    found = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    if not found:
        return ""
    try:
        return base64.b64decode(found[0] + "=" * (-len(found[0]) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise UnauthorizedError("Unauthorized") from None


class WebSocketPeer:
    """One WebSocket of a client. `offered` are its subprotocols, without tokens."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self.offered = self.offers(scope)
        extensions: Mapping[str, Any] = scope.get("extensions") or {}
        self._lost: asyncio.Event | None = extensions.get(LOST)
        self._denies = DENIAL in extensions
        self._receive = receive
        self._send = send
        self._gone = False

    @staticmethod
    def offers(scope: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the subprotocols that a client offers, without tokens."""
        return tuple(name for name in scope.get("subprotocols") or () if not name.startswith(BEARER_PREFIX))

    async def connect(self) -> None:
        """Take the client's opening event; first of all."""
        await self._receive()

    async def accept(self, protocol: str = "") -> None:
        """Agree to the WebSocket. Raises PeerGoneError."""
        await self._tell({"type": "websocket.accept", "subprotocol": protocol or None})

    async def refuse(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an HTTP status."""
        self._gone = True
        if not self._denies:
            await self._send({"type": "websocket.close", "code": 4000})
            return
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        encoded.append((b"content-length", str(len(body)).encode()))
        await self._send({"type": f"{DENIAL}.start", "status": status, "headers": encoded})
        await self._send({"type": f"{DENIAL}.body", "body": body})

    async def receive(self) -> Message | None:
        """Return the next message; None when the client has ended the connection."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._gone = True
            return None
        data: Message | None = event.get("bytes")
        return data if data is not None else str(event.get("text") or "")

    async def send(self, message: Message) -> None:
        """Send a message; waits while the client does not take it. Raises PeerGoneError."""
        await self._tell({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye; nothing when the client has already gone."""
        if self._gone:
            return
        self._gone = True
        short = reason.encode()[:MAX_REASON_BYTES].decode("utf-8", "ignore")
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": short})
        except (OSError, RuntimeError):  # it went at this very moment, and that is all that was wanted
            return

    async def lost(self) -> None:
        """Return when the connection is gone, also while nobody receives; never, where the server cannot tell."""
        await (self._lost or asyncio.Event()).wait()

    async def _tell(self, event: dict[str, Any]) -> None:
        if self._gone:
            raise PeerGoneError("the client has gone")
        try:
            await self._send(event)
        except OSError as error:
            self._gone = True
            raise PeerGoneError("the client has gone") from error


async def first_of(*parts: Coroutine[Any, Any, Any]) -> None:
    """Run parts together until the first ends; cancel the others, await them all, and raise what that one raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in done and not task.cancelled() and (error := task.exception()) is not None:
            raise error
