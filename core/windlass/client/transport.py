"""How requests reach an API server: over HTTPS, or straight into an ASGI application of this process.

Both give bytes back and know nothing of Kubernetes. Trouble of the connection is an `UnavailableError` (the request was
not sent) or a `RequestTimeoutError` (it may have been), so callers meet one family of errors.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from yarl import URL

from windlass.client.asgi import AsgiExchange
from windlass.errors import RequestTimeoutError, UnavailableError

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 60.0
READ_CHUNK_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `path` is absolute and already quoted; `params` are not."""

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer, read whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpStream:
    """One answer, still arriving."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """The road to one API server."""

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole answer. Raises UnavailableError or RequestTimeoutError."""
        ...

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Send a request and read the answer as it comes; leaving the context ends it. Raises as `request`."""
        ...

    async def close(self) -> None:
        """Let go of connections. The transport may be used again."""
        ...


class HttpTransport:
    """HTTPS (or HTTP) by aiohttp; who we are stands in the `ssl_context` (client certificate) or is a bearer token."""

    def __init__(self, server: str, ssl_context: ssl.SSLContext | None = None, token: str = "") -> None:
        self.server = server.rstrip("/")
        self._ssl = ssl_context
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole answer."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=CONNECT_SECONDS)
        with _translated():
            async with self._open(request, timeout) as response:
                body = await response.read()
                return HttpResponse(response.status, _lower(response.headers), body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[HttpStream]:
        """Send a request and read the answer as it comes."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
        with _translated():
            response = await self._open(request, timeout)
        try:
            yield HttpStream(response.status, _lower(response.headers), _chunks(response))
        finally:
            response.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self, request: HttpRequest, timeout: aiohttp.ClientTimeout) -> Any:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=0)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        url = URL(self.server + request.path, encoded=True)
        if request.params:
            url = url.with_query(list(request.params))
        # aiohttp verifies with the default certificates when it gets True; a context says whom to trust and who we are.
        return self._session.request(
            request.method,
            url,
            data=request.body,
            headers=dict(request.headers),
            timeout=timeout,
            ssl=self._ssl if self._ssl is not None else True,
            allow_redirects=False,
        )


class InProcessTransport:
    """Straight into an ASGI application: no socket, no copy. For tests and for one-process clusters.

    Who is asking: `user` and `groups` become the scope's peer certificate, as TLS would have found it; `headers` (for
    example Authorization) go with every request.
    """

    def __init__(
        self, app: Any, *, user: str = "", groups: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        self._headers = dict(headers or {})
        self._extensions = {PEER_CERTIFICATE: peer_certificate(user, groups)} if user else {}

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole answer."""
        async with self.stream(request) as stream:
            body = b"".join([chunk async for chunk in stream.chunks])
            return HttpResponse(stream.status, stream.headers, body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[HttpStream]:
        """Send a request and read the answer as it comes."""
        query = str(URL.build(query=list(request.params)).raw_query_string)
        headers = {**self._headers, **request.headers}
        exchange = AsgiExchange(self._app, request.body or b"")
        scope = exchange.scope(request.method, request.path, query, headers)
        scope["extensions"] = dict(self._extensions)
        try:
            status, raw = await exchange.start(scope)
            yield HttpStream(status, _lower(raw), exchange.chunks())
        finally:
            await exchange.close()

    async def close(self) -> None:
        """Do nothing: there is no connection."""


PEER_CERTIFICATE = "windlass.peercert"
"""Where in an ASGI scope's extensions the peer's certificate stands, as `ssl.SSLSocket.getpeercert` gives it."""


def peer_certificate(user: str, groups: Sequence[str]) -> dict[str, Any]:
    """Return what `getpeercert` gives for a client certificate of that user."""
    organizations = tuple((("organizationName", group),) for group in groups)
    return {"subject": (*organizations, (("commonName", user),))}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    with _translated():
        async for chunk in response.content.iter_any():
            yield chunk


class _translated:  # noqa: N801 - a context manager that reads as a word
    """Turns aiohttp's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise UnavailableError(f"the API server cannot be reached: {error}") from error
        if isinstance(error, aiohttp.ClientError | TimeoutError | asyncio.IncompleteReadError | OSError):
            raise RequestTimeoutError(f"the connection to the API server broke: {error!r}") from error
