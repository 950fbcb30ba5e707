"""The agent's WebSocket routes, for the API server only: exec, attach, portForward.

A refusal before the upgrade is an HTTP status; its message also stands in a header, since WebSocket clients hand out no
body. What goes wrong once a container is found is told on the error channel, as kubectl expects it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import orjson

from windlass.apimachinery.channels import (
    ERROR,
    PORT_FORWARD,
    REMOTE_COMMAND,
    SPDY_TUNNEL,
    Codec,
    choose_protocol,
    error_message,
    failure_status,
)
from windlass.apimachinery.status import to_status
from windlass.errors import (
    ApiError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RuntimeDriverError,
    TooManyRequestsError,
)
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass.websocket import PeerGoneError, WebSocketPeer
from windlass_hostagent.server import dial
from windlass_hostagent.server.access import check_peer
from windlass_hostagent.server.lookup import find_ready_sandbox, find_running_container
from windlass_hostagent.server.port_forward import ChannelForward, SpdyForward, parse_ports
from windlass_hostagent.server.remote_command import RemoteCommand, StreamOptions

REFUSAL_HEADER = "windlass-refusal"
MAX_STREAMS = 1000
MAX_HEADER_LENGTH = 2000
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A request for a stream. `container` is '' for port-forward."""

    namespace: str
    pod: str
    container: str
    query: Mapping[str, Sequence[str]]

    def flag(self, name: str) -> bool:
        """Whether a query parameter is true."""
        return self.value(name).lower() in ("true", "1")

    def value(self, name: str) -> str:
        """Return the first value of a query parameter, '' when absent."""
        return next(iter(self.query.get(name, ())), "")

    @property
    def options(self) -> StreamOptions:
        """Which streams are wanted. Raises BadRequestError when none is."""
        options = StreamOptions(self.flag("stdin"), self.flag("stdout"), self.flag("stderr"), self.flag("tty"))
        if not (options.stdin or options.stdout or options.stderr):
            raise BadRequestError("you must specify at least 1 of stdin, stdout, stderr")
        return options


Serve = Callable[[StreamRequest, WebSocketPeer], Awaitable[None]]


class StreamRoutes:
    """An ASGI application for WebSockets."""

    def __init__(self, runtime: RuntimeDriver) -> None:
        self._runtime = runtime
        self._open = 0
        self._routes: dict[tuple[str, int], Serve] = {
            ("exec", 3): self._exec,
            ("attach", 3): self._attach,
            ("portForward", 2): self._port_forward,
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one WebSocket from its opening to its end."""
        peer = WebSocketPeer(scope, receive, send)
        await peer.connect()
        self._open += 1
        try:
            check_peer(scope)
            if self._open > MAX_STREAMS:
                raise TooManyRequestsError(f"this node already serves {MAX_STREAMS} streams")
            serve, request = self._route(scope)
            await serve(request, peer)
        except ApiError as error:
            await _refuse(peer, error)
        except RuntimeDriverError as error:
            await _refuse(peer, InternalServerError(str(error)))
        except PeerGoneError:
            log.debug("streaming_client_went_away")
        finally:
            self._open -= 1

    def _route(self, scope: Mapping[str, Any]) -> tuple[Serve, StreamRequest]:
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        route, *names = [unquote(part) for part in raw.decode("latin-1").strip("/").split("/")]
        serve = self._routes.get((route, len(names)))
        if serve is None:
            raise NotFoundError("the host agent has no such stream")
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return serve, StreamRequest(names[0], names[1], names[2] if len(names) > 2 else "", query)

    async def _exec(self, request: StreamRequest, peer: WebSocketPeer) -> None:
        command, options = request.query.get("command", ()), request.options
        if not command:
            raise BadRequestError("you must specify at least one command for the container")
        container = await self._container(request)
        begin = partial(self._runtime.exec, container, command, stdin=options.stdin, tty=options.tty)
        await self._run(peer, begin, options, tells_exit_code=True)

    async def _attach(self, request: StreamRequest, peer: WebSocketPeer) -> None:
        options = request.options
        container = await self._container(request)
        begin = partial(self._runtime.attach, container, stdin=options.stdin)
        await self._run(peer, begin, options, tells_exit_code=False)

    async def _container(self, request: StreamRequest) -> str:
        found = await find_running_container(
            self._runtime, request.namespace, request.pod, request.container, request.value("uid")
        )
        return found.id

    async def _run(
        self, peer: WebSocketPeer, begin: Callable[[], Awaitable[Any]], options: StreamOptions, *, tells_exit_code: bool
    ) -> None:
        codec = Codec(choose_protocol(peer.offered, REMOTE_COMMAND))
        await peer.accept(codec.protocol if peer.offered else "")
        try:
            stream = await begin()
        except (RuntimeDriverError, OSError) as error:
            log.info("container_stream_not_opened", error=str(error))
            await peer.send(codec.encode(ERROR, error_message(codec, failure_status(str(error)))))
            await peer.close()
            return
        await RemoteCommand(peer, codec, stream, options, tells_exit_code=tells_exit_code).run()

    async def _port_forward(self, request: StreamRequest, peer: WebSocketPeer) -> None:
        protocol = choose_protocol(peer.offered, PORT_FORWARD)
        ports = [] if protocol == SPDY_TUNNEL else parse_ports(request.query.get("ports", ()))
        sandbox = await find_ready_sandbox(self._runtime, request.namespace, request.pod, request.value("uid"))
        connect = partial(dial.connect, sandbox)
        await peer.accept(protocol)
        if protocol == SPDY_TUNNEL:
            await SpdyForward(peer, connect).run()
        else:
            await ChannelForward(peer, Codec(protocol), ports, connect).run()


async def _refuse(peer: WebSocketPeer, error: ApiError) -> None:
    message = quote(error.message[:MAX_HEADER_LENGTH], safe=" ")[:MAX_HEADER_LENGTH]
    headers = [("content-type", "application/json"), (REFUSAL_HEADER, message)]
    await peer.refuse(error.code, headers, orjson.dumps(to_status(error)))
