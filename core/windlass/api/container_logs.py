"""The `log` subresource of pods: what the pod's host agent has, streamed through.

The agent's address comes from the Node object and must be a literal IP; the agent must show a certificate of our CA for
that address, and redirects are not followed, so that no Node object can send the API server elsewhere.
"""

import errno
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import orjson

from windlass.api.config import ApiConfig
from windlass.api.request import ApiRequest
from windlass.api.response import SendChunk, Stream
from windlass.errors import BadRequestError, InternalServerError, NotFoundError, UnavailableError
from windlass.plugin.interfaces.authn import ObjectReader
from windlass.registry.generic import Registry

if TYPE_CHECKING:
    import aiohttp

DEFAULT_PORT = 10250
CONNECT_TIMEOUT_SECONDS = 10.0
MAX_ERROR_BYTES = 4096
FLAGS = ("follow", "previous", "timestamps")
NUMBERS = ("tailLines", "sinceSeconds", "limitBytes")
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Which output of which container on which node. `params` are the agent's query parameters."""

    namespace: str
    pod: str
    container: str
    node: Mapping[str, Any]
    params: Mapping[str, str]


class LogBackend(Protocol):
    """Fetches container logs. The context manager raises ApiError before the first byte; leaving it disconnects."""

    def open(self, target: LogTarget) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Connect and return the chunks."""
        ...


class AgentLogBackend:
    """Asks the host agent over mutual TLS."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config

    @asynccontextmanager
    async def open(self, target: LogTarget) -> AsyncIterator[AsyncIterator[bytes]]:
        """Connect to the agent. Raises 404, 400 or 500 as the agent says, 503 when it cannot be reached."""
        import aiohttp  # noqa: PLC0415 - a server whose logs nobody reads does without

        url = agent_url(target)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            try:
                response = await session.get(url, params=dict(target.params), ssl=self._tls(), allow_redirects=False)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise UnavailableError(
                    f"the host agent of node {target.node['metadata']['name']} at {url.split('/')[2]} cannot be "
                    f"reached: {_why(error)}; its containers may run all the same, and their output is kept there"
                ) from error
            async with response:
                if response.status != 200:
                    raise await _refusal(response)
                yield response.content.iter_any()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._config.agent_ca or None)
        if self._config.agent_certificate:
            context.load_cert_chain(self._config.agent_certificate, self._config.agent_key)
        return context


def agent_url(target: LogTarget) -> str:
    """Return the agent's URL for a container's log. Raises 503 when the Node gives no usable address."""
    status = target.node.get("status") or {}
    found = [item["address"] for item in status.get("addresses") or () if item.get("type") == "InternalIP"]
    name = target.node["metadata"]["name"]
    if not found:
        raise UnavailableError(f"node {name} has no InternalIP address")
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        raise UnavailableError(f"node {name}: InternalIP {found[0]!r} is not an IP address") from None
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise UnavailableError(f"node {name}: InternalIP {address} cannot be a node's address")
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT
    host = f"[{address}]" if address.version == 6 else str(address)
    path = "/".join(quote(part, safe="") for part in (target.namespace, target.pod, target.container))
    return f"https://{host}:{int(port)}/containerLogs/{path}"


def _why(error: Exception) -> str:
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


async def _refusal(response: "aiohttp.ClientResponse") -> Exception:
    text = (await response.content.read(MAX_ERROR_BYTES)).decode("utf-8", "replace").strip()
    try:
        text = str(orjson.loads(text)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = text or f"HTTP status {response.status}"
    if response.status == 404:
        return NotFoundError(text or "the container was not found on its node")
    if response.status == 400:
        return BadRequestError(text)
    return InternalServerError(f"the host agent answered {response.status}: {text}")


class LogHandler:
    """Serves `pods/{name}/log`."""

    def __init__(self, backend: LogBackend, reader: ObjectReader) -> None:
        self._backend = backend
        self._reader = reader

    async def handle(self, request: ApiRequest, registry: Registry) -> Stream:
        """Return the stream of a container's output."""
        params = log_params(request)
        pod = (await registry.get(request.path.namespace, request.path.name)).obj
        container = choose_container(pod, request.value("container"))
        node_name = pod["spec"].get("nodeName")
        if not node_name:
            return Stream(_nothing, content_type=TEXT)
        node = self._reader.get("nodes", "", node_name)
        if node is None:
            raise NotFoundError(f'nodes "{node_name}" not found')
        target = LogTarget(request.path.namespace, request.path.name, container, node, params)
        opened = self._backend.open(target)
        chunks = await opened.__aenter__()

        async def run(send: SendChunk) -> None:
            async for chunk in chunks:
                await send(chunk)

        async def close() -> None:
            await opened.__aexit__(None, None, None)

        return Stream(run, content_type=TEXT, close=close)


async def _nothing(send: SendChunk) -> None:
    """Send nothing: a pod without a node has no output."""


def log_params(request: ApiRequest) -> dict[str, str]:
    """Check the query parameters and return those for the agent. Raises 400."""
    params = {name: "true" for name in FLAGS if request.flag(name)}
    for name in NUMBERS:
        number = request.integer(name)
        if number is None:
            continue
        if number < (0 if name == "tailLines" else 1):
            raise BadRequestError(
                f"{name}: Invalid value: {number}: must be greater than or equal to {0 if name == 'tailLines' else 1}"
            )
        params[name] = str(number)
    if since := request.value("sinceTime"):
        if "sinceSeconds" in params:
            raise BadRequestError("at most one of sinceTime or sinceSeconds may be specified")
        params["sinceTime"] = since
    return params


def choose_container(pod: Mapping[str, Any], asked: str) -> str:
    """Return the container that a request means. Raises 400 when it names none of the pod's, or none where several are."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    main = _names(spec.get("containers"))
    every = [*main, *_names(spec.get("initContainers")), *_names(spec.get("ephemeralContainers"))]
    if asked:
        if asked not in every:
            raise BadRequestError(f"container {asked} is not valid for pod {name}")
        return asked
    if len(every) == 1:
        return main[0]
    extra = (
        f" or one of the init containers: [{' '.join(_names(spec.get('initContainers')))}]"
        if spec.get("initContainers")
        else ""
    )
    raise BadRequestError(
        f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]{extra}"
    )


def _names(containers: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return [container["name"] for container in containers or ()]
