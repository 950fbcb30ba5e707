"""HTTP GET as a probe or hook sends it: one connection, bounded answer, no other host, no certificate check.

Why not an HTTP client library: two hundred pods are asked all the time, and nothing here may keep state, follow a
redirect elsewhere, or read without bound.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httptools

from windlass_hostagent.pods.probes.dial import DIAL_ERRORS, dial_failure, host_text
from windlass_hostagent.pods.probes.results import Outcome, Result
from windlass_hostagent.pods.probes.spec import ProbeError, http_headers, resolve_port

MAX_ANSWER_BYTES = 64 * 1024
MAX_BODY_BYTES = 10 * 1024
MAX_REDIRECTS = 10
SAFE = "/%?&=:;,+~@!$'()*#[]-._"


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Where a request goes. `headers` are the user's."""

    scheme: str
    host: str
    port: int
    path: str
    headers: Sequence[tuple[str, str]] = ()

    @property
    def url(self) -> str:
        """The address as messages show it."""
        return f"{self.scheme}://{host_text(self.host)}:{self.port}{self.path}"


@dataclass(slots=True)
class Answer:
    """The part of an answer that matters."""

    status: int = 0
    location: str = ""
    body: bytearray = field(default_factory=bytearray)


def http_target(action: Mapping[str, Any], container: Mapping[str, Any], ip: str) -> HttpTarget:
    """Read an httpGet action. Raises ProbeError."""
    path = str(action.get("path") or "/")
    return HttpTarget(
        scheme="https" if str(action.get("scheme") or "HTTP").upper() == "HTTPS" else "http",
        host=str(action.get("host") or ip),
        port=resolve_port(container, action.get("port")),
        path=quote(path if path.startswith("/") else "/" + path, safe=SAFE),
        headers=http_headers(action),
    )


def request_bytes(target: HttpTarget) -> bytes:
    """Write the request. Raises ProbeError for a header that would be more than one. Pure."""
    given = {name.lower() for name, _ in target.headers}
    headers = [(n, v) for n, v in target.headers if n.lower() != "connection"]
    if "host" not in given:
        headers.insert(0, ("Host", f"{host_text(target.host)}:{target.port}"))
    for name, value in (("User-Agent", "kube-probe/1.32"), ("Accept", "*/*")):
        if name.lower() not in given:
            headers.append((name, value))
    headers.append(("Connection", "close"))
    if any(c in part for header in headers for part in header for c in "\r\n\0"):
        raise ProbeError("invalid header")
    lines = [f"GET {target.path.partition('#')[0]} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class _Exchange(asyncio.Protocol):
    """Sends the request and reads as much of the answer as matters."""

    def __init__(self, request: bytes) -> None:
        self.answer = Answer()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._seen = 0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._finish(ProbeError(f"malformed HTTP response: {error}"))
        if self._seen >= MAX_ANSWER_BYTES or len(self.answer.body) >= MAX_BODY_BYTES:
            self._finish(None if self.answer.status else ProbeError("malformed HTTP response: headers without end"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.answer.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.answer.body += body[: MAX_BODY_BYTES - len(self.answer.body)]

    def on_message_complete(self) -> None:
        if self.answer.status >= 200:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(None if self.answer.status else (exc or ProbeError("EOF")))

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
        if self._transport is not None:
            self._transport.abort()


@cache
def _tls() -> ssl.SSLContext:
    """Return a context that takes any certificate: a probe asks whether somebody answers, not who."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def get(target: HttpTarget) -> Answer:
    """Send one GET and read the answer. The caller bounds the time. Raises ProbeError and OSError."""
    exchange = _Exchange(request_bytes(target))
    tls = _tls() if target.scheme == "https" else None
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: exchange, target.host, target.port, ssl=tls, server_hostname=target.host if tls else None
    )
    try:
        await exchange.done
    finally:
        transport.abort()
    return exchange.answer


def redirected(target: HttpTarget, answer: Answer) -> HttpTarget | None:
    """Return where an answer sends us, None when it does not, or sends us to another host. Raises ProbeError."""
    if answer.status not in (301, 302, 303, 307, 308) or not answer.location:
        return None
    try:
        new = urlsplit(urljoin(target.url, answer.location))
        port = new.port or (443 if new.scheme == "https" else 80)
    except ValueError as error:
        raise ProbeError(f"malformed redirect: {error}") from error
    if new.scheme not in ("http", "https") or (new.hostname or "") != target.host:
        return None
    path = quote((new.path or "/") + (f"?{new.query}" if new.query else ""), safe=SAFE)
    return HttpTarget(new.scheme, target.host, port, path, target.headers)


async def _probe(target: HttpTarget) -> Outcome:
    for _ in range(MAX_REDIRECTS):
        answer = await get(target)
        following = redirected(target, answer)
        if following is None:
            break
        target = following
    else:
        return Outcome(Result.FAILURE, f'Get "{target.url}": stopped after {MAX_REDIRECTS} redirects')
    if 300 <= answer.status < 400:
        body = bytes(answer.body[:256]).decode(errors="replace")
        return Outcome(Result.WARNING, f"Probe terminated redirects, Response body: {body}")
    if 200 <= answer.status < 400:
        return Outcome(Result.SUCCESS)
    return Outcome(Result.FAILURE, f"HTTP probe failed with statuscode: {answer.status}")


async def probe_http(target: HttpTarget, timeout_seconds: float) -> Outcome:
    """Ask once. Never raises for what the other side does; never takes longer than the timeout."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _probe(target)
    except DIAL_ERRORS as error:
        return Outcome(Result.FAILURE, f'Get "{target.url}": {dial_failure(error, target.host, target.port)}')
    except ProbeError as error:
        return Outcome(Result.FAILURE, f'Get "{target.url}": {error}')
