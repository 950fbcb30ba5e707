"""Messages between a client's WebSocket and another one, until either side ends or both are silent for too long.

One message at a time in each direction: the next is read when the one before has been taken.
"""

import asyncio
from typing import TYPE_CHECKING

from windlass.logs import get_logger
from windlass.websocket import GOING_AWAY, INTERNAL_ERROR, NORMAL, PeerGoneError, WebSocketPeer, first_of

if TYPE_CHECKING:
    import aiohttp

UNSENDABLE_CODES = frozenset({1004, 1005, 1006, 1015})
CLOSE_SECONDS = 2.0
log = get_logger(__name__)


class Relay:
    """Joins a client to a backend. The caller cuts the backend's connection afterwards."""

    def __init__(self, peer: WebSocketPeer, backend: "aiohttp.ClientWebSocketResponse", idle_seconds: float) -> None:
        self._peer = peer
        self._backend = backend
        self._idle_seconds = idle_seconds
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Relay until either side ends, and tell the other."""
        try:
            async with asyncio.timeout(self._idle_seconds) as self._deadline:
                await first_of(self._to_backend(), self._to_client(), self._peer.lost())
        except PeerGoneError:
            log.debug("relay_client_went_away")
        except TimeoutError:
            await self._peer.close(GOING_AWAY, f"nothing was sent for {self._idle_seconds:g} s")
        except OSError as error:  # the backend's connection broke while it was written to
            await self._peer.close(INTERNAL_ERROR, f"the backend went away: {error}")
        await self._leave_backend()

    async def _leave_backend(self) -> None:
        """Say goodbye, as far as a backend that may not read any more lets us."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._backend.close()
        except (TimeoutError, OSError) as error:
            log.debug("relay_backend_does_not_listen", error=str(error))

    def _alive(self) -> None:
        """Put the deadline off; at most once a second, since it costs a timer."""
        wanted, when = self._loop.time() + self._idle_seconds, self._deadline.when()
        if when is not None and wanted - when > min(1.0, self._idle_seconds / 4):
            self._deadline.reschedule(wanted)

    async def _to_backend(self) -> None:
        while (message := await self._peer.receive()) is not None:
            self._alive()
            if isinstance(message, bytes):
                await self._backend.send_bytes(message)
            else:
                await self._backend.send_str(message)

    async def _to_client(self) -> None:
        import aiohttp  # noqa: PLC0415 - whoever has a backend has it loaded

        while True:
            message = await self._backend.receive()
            self._alive()
            if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                await self._peer.send(message.data)
                continue
            code = self._backend.close_code or INTERNAL_ERROR
            if message.type is aiohttp.WSMsgType.CLOSE:
                await self._peer.close(NORMAL if code in UNSENDABLE_CODES else code, str(message.extra or ""))
            else:
                await self._peer.close(INTERNAL_ERROR, "the backend went away")
            return
