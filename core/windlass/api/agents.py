"""The API server's connections to host agents: where an agent is, how both prove who they are, what a refusal means.

The agent's address comes from the Node object and must be a literal IP; the agent must show a certificate of our CA for
that address, and redirects are not followed, so that no Node object can send the API server elsewhere.
"""

import errno
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson

from windlass.api.config import ApiConfig
from windlass.errors import (
    ApiError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)

if TYPE_CHECKING:  # aiohttp is imported where it is used: a server whose agents nobody asks does without
    import aiohttp

DEFAULT_PORT = 10250
CONNECT_TIMEOUT_SECONDS = 10.0
MAX_ERROR_BYTES = 4096
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REFUSAL_HEADER = "windlass-refusal"
"""Where an agent repeats the message of a refused WebSocket, whose body clients do not hand out."""
REFUSALS: Mapping[int, type[ApiError]] = {400: BadRequestError, 404: NotFoundError, 429: TooManyRequestsError}


def agent_url(node: Mapping[str, Any], *path: str) -> str:
    """Return the agent's URL for path segments, which are quoted. Raises 503 when the Node gives no usable address."""
    status = node.get("status") or {}
    found = [item["address"] for item in status.get("addresses") or () if item.get("type") == "InternalIP"]
    name = node["metadata"]["name"]
    if not found:
        raise UnavailableError(f"node {name} has no InternalIP address")
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        raise UnavailableError(f"node {name}: InternalIP {found[0]!r} is not an IP address") from None
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise UnavailableError(f"node {name}: InternalIP {address} cannot be a node's address")
    host = f"[{address}]" if address.version == 6 else str(address)
    return "/".join((f"https://{host}:{agent_port(node)}", *(quote(part, safe="") for part in path)))


def agent_port(node: Mapping[str, Any]) -> int:
    """Return the port of a node's agent."""
    status = node.get("status") or {}
    return int(((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT)


class AgentConnections:
    """Opens requests and WebSockets to agents, over mutual TLS. One connection for each: nothing is shared or kept."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config

    def tls(self) -> ssl.SSLContext:
        """Return what this server shows and trusts; read anew each time, so that a renewed certificate counts at once."""
        context = ssl.create_default_context(cafile=self._config.agent_ca or None)
        if self._config.agent_certificate:
            context.load_cert_chain(self._config.agent_certificate, self._config.agent_key)
        return context

    @asynccontextmanager
    async def get(
        self, node: Mapping[str, Any], path: Sequence[str], params: Mapping[str, str]
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """Ask an agent. Raises 404, 400, 429 or 500 as the agent says, 503 when it cannot be reached."""
        import aiohttp  # noqa: PLC0415 - see above

        url = agent_url(node, *path)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            try:
                response = await session.get(url, params=dict(params), ssl=self.tls(), allow_redirects=False)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise unreachable(node, url, error) from error
            async with response:
                if response.status != 200:
                    raise await _refusal(response)
                yield response

    @asynccontextmanager
    async def websocket(
        self, node: Mapping[str, Any], path: Sequence[str], query: str, protocols: Sequence[str]
    ) -> AsyncIterator["aiohttp.ClientWebSocketResponse"]:
        """Open a WebSocket to an agent; leaving it cuts the connection. Raises as `get` does."""
        import aiohttp  # noqa: PLC0415 - see above
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        url = agent_url(node, *path)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                opened = await session.ws_connect(
                    URL(f"{url}?{query}", encoded=True),
                    protocols=protocols, ssl=self.tls(), autoping=True, max_msg_size=MAX_MESSAGE_BYTES,
                )  # fmt: skip
            except aiohttp.WSServerHandshakeError as error:
                raise refusal_of(error.status, unquote(_header(error, REFUSAL_HEADER))) from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise unreachable(node, url, error) from error
            yield opened


def unreachable(node: Mapping[str, Any], url: str, error: Exception) -> UnavailableError:
    """Return the refusal for an agent that cannot be reached."""
    return UnavailableError(
        f"the host agent of node {node['metadata']['name']} at {url.split('/')[2]} cannot be "
        f"reached: {why(error)}; its containers may run all the same, and their output is kept there"
    )


def why(error: Exception) -> str:
    """Return in plain words why there is no connection: aiohttp's own show Python objects."""
    import aiohttp  # noqa: PLC0415 - see above

    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_SECONDS:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"what answers there does not prove to be this node's agent ({error.certificate_error})"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
        return os.strerror(cause.errno)
    return str(cause) or type(cause).__name__


def refusal_of(status: int, message: str) -> ApiError:
    """Return the error that an agent's refusal is to our client. An agent that refuses *us* is our fault: 500."""
    known = REFUSALS.get(status)
    if known is not None:
        return known(message or "the container was not found on its node")
    return InternalServerError(f"the host agent answered {status}: {message or f'HTTP status {status}'}")


def _header(error: "aiohttp.WSServerHandshakeError", name: str) -> str:
    return error.headers.get(name, "") if error.headers is not None else ""


async def _refusal(response: "aiohttp.ClientResponse") -> ApiError:
    text = (await response.content.read(MAX_ERROR_BYTES)).decode("utf-8", "replace").strip()
    try:
        text = str(orjson.loads(text)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = text or f"HTTP status {response.status}"
    return refusal_of(response.status, text)
