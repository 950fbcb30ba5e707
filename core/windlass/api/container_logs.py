"""The `log` subresource of pods: what the pod's host agent has, streamed through."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.api.agents import AgentConnections
from windlass.api.request import ApiRequest
from windlass.api.response import SendChunk, Stream
from windlass.errors import BadRequestError, NotFoundError
from windlass.plugin.interfaces.authn import ObjectReader
from windlass.registry.generic import Registry

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

    def __init__(self, agents: AgentConnections) -> None:
        self._agents = agents

    @asynccontextmanager
    async def open(self, target: LogTarget) -> AsyncIterator[AsyncIterator[bytes]]:
        """Connect to the agent. Raises 404, 400 or 500 as the agent says, 503 when it cannot be reached."""
        path = ("containerLogs", target.namespace, target.pod, target.container)
        async with self._agents.get(target.node, path, target.params) as response:
            yield response.content.iter_any()


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
