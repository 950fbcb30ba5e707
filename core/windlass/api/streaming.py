"""`pods/{name}/exec`, `attach` and `portforward`: a WebSocket of the client, joined to one of the pod's host agent.

The agent speaks the subprotocol; the API server decides who may, which container is meant and where the agent is, and
relays messages. SPDY itself (`Upgrade: SPDY/3.1`) is refused: kubectl uses WebSockets since 1.30, and asks for SPDY only
after a WebSocket was refused, so the refusal repeats what stood in the way.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import urlencode

from windlass.api.config import ApiConfig
from windlass.api.container_logs import choose_container
from windlass.api.relay import Relay
from windlass.api.request import ApiRequest
from windlass.api.response import Upgraded
from windlass.apimachinery.channels import (
    ERROR,
    PORT_FORWARD,
    REMOTE_COMMAND,
    Codec,
    choose_protocol,
    error_message,
    failure_status,
)
from windlass.errors import ApiError, BadRequestError, NotFoundError
from windlass.logs import get_logger
from windlass.plugin.interfaces.authn import ObjectReader
from windlass.registry.generic import Registry
from windlass.websocket import WebSocketPeer

STREAM_FLAGS = ("stdin", "stdout", "stderr", "tty")
NO_SPDY = (
    "unable to upgrade: SPDY is not served; use a client that streams over WebSockets (kubectl 1.30 or newer does) "
    "with one of the subprotocols: {}"
)
Obj = Mapping[str, Any]
log = get_logger(__name__)


class AgentStreams(Protocol):
    """Where streams come from: `windlass.api.agents.AgentConnections`."""

    def websocket(
        self, node: Obj, path: Sequence[str], query: str, protocols: Sequence[str]
    ) -> AbstractAsyncContextManager[Any]:
        """Open a WebSocket to a node's agent. Raises ApiError before anything has begun."""
        ...

    def get(self, node: Obj, path: Sequence[str], params: Mapping[str, str]) -> AbstractAsyncContextManager[Any]:
        """Ask a node's agent."""
        ...


class StreamingHandler:
    """Serves the streaming subresources of pods."""

    def __init__(self, agents: AgentStreams, reader: ObjectReader, config: ApiConfig) -> None:
        self._agents = agents
        self._reader = reader
        self._idle_seconds = config.stream_idle_seconds

    async def exec(self, request: ApiRequest, registry: Registry) -> Upgraded:
        """Run a command in a container."""
        pod = await _pod(request, registry)
        container = choose_container(pod, request.value("container"))
        query = [("command", word) for word in request.values("command")]
        if not query:
            raise BadRequestError("you must specify at least one command for the container")
        return await self._remote_command(request, pod, ("exec", container), [*query, *_streams(request)])

    async def attach(self, request: ApiRequest, registry: Registry) -> Upgraded:
        """Attach to a container's own streams."""
        pod = await _pod(request, registry)
        container = choose_container(pod, request.value("container"))
        return await self._remote_command(request, pod, ("attach", container), _streams(request))

    async def port_forward(self, request: ApiRequest, registry: Registry) -> Upgraded:
        """Forward ports of a pod."""
        pod = await _pod(request, registry)
        node = await self._ready(request, pod, PORT_FORWARD)
        query = [("ports", ports) for ports in request.values("ports")]
        return await self._open(request, pod, node, ("portForward",), query)

    async def _remote_command(
        self, request: ApiRequest, pod: Obj, route: tuple[str, str], query: list[tuple[str, str]]
    ) -> Upgraded:
        node = await self._ready(request, pod, REMOTE_COMMAND)
        try:
            return await self._open(request, pod, node, route, query)
        except ApiError as error:
            # kubectl takes a refused handshake for a server without WebSockets; on the error channel it is understood.
            offered = _offered(request)
            log.info("stream_refused_by_agent", path=request.path.text, error=error.message)
            return _told(Codec(choose_protocol(offered, REMOTE_COMMAND)), error, announced=bool(offered))

    async def _ready(self, request: ApiRequest, pod: Obj, known: Sequence[str]) -> Obj:
        """Return the pod's node once all that can be refused beforehand is checked. Raises 400, 404, 503."""
        node_name = pod["spec"].get("nodeName")
        if not node_name:
            raise BadRequestError(f"pod {pod['metadata']['name']} does not have a host assigned")
        node = self._reader.get("nodes", "", node_name)
        if node is None:
            raise NotFoundError(f'nodes "{node_name}" not found')
        if not request.is_websocket:
            async with self._agents.get(node, ("healthz",), {}):
                raise BadRequestError(NO_SPDY.format(", ".join(known)))
        choose_protocol(_offered(request), known)
        return node

    async def _open(
        self, request: ApiRequest, pod: Obj, node: Obj, route: tuple[str, ...], query: list[tuple[str, str]]
    ) -> Upgraded:
        metadata = pod["metadata"]
        path = (route[0], metadata["namespace"], metadata["name"], *route[1:])
        asked = urlencode([*query, ("uid", metadata["uid"])])
        opened = self._agents.websocket(node, path, asked, _offered(request))
        backend = await opened.__aenter__()

        async def run(peer: WebSocketPeer) -> None:
            await Relay(peer, backend, self._idle_seconds).run()

        async def close() -> None:
            await opened.__aexit__(None, None, None)

        return Upgraded(run, backend.protocol or "", close=close)


def _told(codec: Codec, error: ApiError, *, announced: bool) -> Upgraded:
    """Return a WebSocket that only says why there is no stream."""

    async def run(peer: WebSocketPeer) -> None:
        await peer.send(codec.encode(ERROR, error_message(codec, failure_status(error.message))))
        await peer.close()

    return Upgraded(run, codec.protocol if announced else "")


async def _pod(request: ApiRequest, registry: Registry) -> Obj:
    return (await registry.get(request.path.namespace, request.path.name)).obj


def _offered(request: ApiRequest) -> tuple[str, ...]:
    return WebSocketPeer.offers(request.scope)


def _streams(request: ApiRequest) -> list[tuple[str, str]]:
    wanted = [(name, "true") for name in STREAM_FLAGS if request.flag(name)]
    if not any(name != "tty" for name, _ in wanted):
        raise BadRequestError("you must specify at least 1 of stdin, stdout, stderr")
    return wanted
