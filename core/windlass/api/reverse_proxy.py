"""One proxied exchange: bodies stream both ways, nothing is kept, and whoever makes no progress is cut off."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass.api.agents import CONNECT_TIMEOUT_SECONDS, MAX_MESSAGE_BYTES, why
from windlass.api.proxy_rules import Headers, request_headers, response_headers
from windlass.api.relay import Relay
from windlass.api.request import RECEIVE, ApiRequest
from windlass.api.response import ApiResponse, SendChunk, Stream, Upgraded
from windlass.errors import BadRequestError, UnavailableError
from windlass.logs import get_logger
from windlass.websocket import WebSocketPeer

if TYPE_CHECKING:  # aiohttp is imported where it is used
    import aiohttp

OCTETS = "application/octet-stream"
BODILESS = frozenset({204, 304})
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProxyTarget:
    """Where a request goes. `origin` is scheme and authority, `path` and `query` are sent as they are."""

    origin: str
    path: str
    query: str
    tls: ssl.SSLContext | bool

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.origin + self.path + (f"?{self.query}" if self.query else "")


class ReverseProxy:
    """Passes requests on. `idle_seconds`: how long an exchange may make no progress."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds

    async def pass_on(self, request: ApiRequest, target: ProxyTarget) -> ApiResponse | Stream | Upgraded:
        """Send a request to its target and return the answer. Raises 503 when there is no connection."""
        import aiohttp  # noqa: PLC0415 - see above

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=self._idle_seconds)
        session = aiohttp.ClientSession(
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        try:
            if request.is_websocket:
                return await self._upgrade(session, request, target)
            return await self._exchange(session, request, target)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await session.close()
            log.info("proxied_request_failed", url=target.url, error=str(error))
            raise UnavailableError(f"error trying to reach {target.origin}: {why(error)}") from error
        except BaseException:
            await session.close()
            raise

    async def _exchange(
        self, session: "aiohttp.ClientSession", request: ApiRequest, target: ProxyTarget
    ) -> ApiResponse | Stream:
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        method = request.scope["method"]
        body = _Body(request, self._idle_seconds)
        sent = session.request(
            method,
            URL(target.url, encoded=True),
            headers=_sent_headers(request),
            data=body.chunks() if body.exists else None,
            ssl=target.tls,
            allow_redirects=False,
        )
        response: aiohttp.ClientResponse = await _unless_client_goes(sent, body, request.scope.get(RECEIVE))
        headers = response_headers(response.headers.items())
        content_type = response.headers.get("Content-Type", OCTETS)
        if method == "HEAD" or response.status in BODILESS:
            await session.close()
            return ApiResponse(b"", response.status, content_type, headers)

        async def run(send: SendChunk) -> None:
            async for chunk in response.content.iter_any():
                await send(chunk)

        return Stream(run, content_type, headers, session.close, response.status)

    async def _upgrade(self, session: "aiohttp.ClientSession", request: ApiRequest, target: ProxyTarget) -> Upgraded:
        import aiohttp  # noqa: PLC0415 - see above
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        try:
            backend = await session.ws_connect(
                URL(target.url, encoded=True),
                protocols=WebSocketPeer.offers(request.scope),
                headers=_sent_headers(request),
                ssl=target.tls,
                max_msg_size=MAX_MESSAGE_BYTES,
            )
        except aiohttp.WSServerHandshakeError as error:
            await session.close()
            raise BadRequestError(f"the backend does not agree to a WebSocket: it answered {error.status}") from error

        async def run(peer: WebSocketPeer) -> None:
            await Relay(peer, backend, self._idle_seconds).run()

        return Upgraded(run, backend.protocol or "", close=session.close)


class _Body:
    """The client's body, on its way."""

    def __init__(self, request: ApiRequest, idle_seconds: float) -> None:
        self._request = request
        self._idle_seconds = idle_seconds
        self.exists = _has_body(request)
        self.ended = asyncio.Event()
        if not self.exists:
            self.ended.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body. A client that stops in its middle breaks the exchange, so that no backend takes it for whole."""
        assert self._request.chunks is not None
        pieces = aiter(self._request.chunks)
        while True:
            async with asyncio.timeout(self._idle_seconds):
                piece = await anext(pieces, None)
            if piece is None:
                break
            if piece:
                yield piece
        self.ended.set()


def _has_body(request: ApiRequest) -> bool:
    length = request.header(b"content-length").strip()
    return request.chunks is not None and (length not in ("", "0") or bool(request.header(b"transfer-encoding")))


def _sent_headers(request: ApiRequest) -> Headers:
    return request_headers(request.scope["headers"], request.scope.get("client"), request.path.text)


async def _unless_client_goes(
    sent: Awaitable[Any], body: _Body, receive: Callable[[], Awaitable[dict[str, Any]]] | None
) -> Any:
    """Await the head of the answer. Raises BadRequestError when the client goes first, which nobody will read."""
    answer = asyncio.ensure_future(sent)
    watch = asyncio.ensure_future(_client_gone(body, receive))
    try:
        await asyncio.wait((answer, watch), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise BadRequestError("the client went away")
        return answer.result()
    finally:
        await _stop(answer, watch)


async def _stop(answer: "asyncio.Future[Any]", watch: "asyncio.Future[None]") -> None:
    parts: Sequence[asyncio.Future[Any]] = (watch,) if answer.done() else (answer, watch)
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)


async def _client_gone(body: _Body, receive: Callable[[], Awaitable[dict[str, Any]]] | None) -> None:
    await body.ended.wait()
    if receive is None:
        await asyncio.Event().wait()
        return
    while (await receive())["type"] != "http.disconnect":
        continue
