"""The agent's own HTTP routes, for the API server only: logs, pods, health, metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import falcon
import falcon.asgi
import orjson
from prometheus_client import CollectorRegistry, generate_latest

from windlass.clock import Clock
from windlass.errors import ApiError, RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerStatus, RuntimeDriver
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE
from windlass_hostagent.server.access import OPEN_PATHS, check_peer
from windlass_hostagent.server.images import ImageImport, Images
from windlass_hostagent.server.logs import parse_options, stream
from windlass_hostagent.server.stats import StatsSummary
from windlass_hostagent.server.streams import StreamRoutes
from windlass_hostagent.stats.collector import StatsCollector

Obj = dict[str, Any]


class PodLister(Protocol):
    """What the routes need of the pod manager."""

    def pods(self) -> list[Obj]:
        """Return the pods of this node."""
        ...


class OnlyApiServer:
    """Lets in whoever has a client certificate of the API server; everybody else only to /healthz (S46)."""

    async def process_request(self, req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        """Refuse with 401 without a certificate, with 403 with another one."""
        if req.path in OPEN_PATHS:
            return
        try:
            check_peer(req.scope)
        except ApiError as error:
            raise falcon.HTTPError(error.code, description=error.message) from error


class Healthz:
    """`/healthz`: the event loop turns."""

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer ok."""
        resp.content_type = "text/plain; charset=utf-8"
        resp.text = "ok"


class Metrics:
    """`/metrics` in Prometheus' text format."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer with every metric."""
        resp.content_type = "text/plain; version=0.0.4; charset=utf-8"
        resp.data = generate_latest(self._registry)


class Pods:
    """`/pods`: the pods of this node as a PodList."""

    def __init__(self, pods: PodLister) -> None:
        self._pods = pods

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer with the list."""
        resp.content_type = "application/json"
        resp.data = orjson.dumps({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": self._pods.pods()})


def choose_attempt(found: Sequence[ContainerStatus], *, previous: bool) -> ContainerStatus | None:
    """Return the newest attempt, or the one before it. Pure."""
    history = sorted(found, key=lambda c: (c.attempt, c.created_at), reverse=True)
    at = 1 if previous else 0
    return history[at] if len(history) > at else None


class ContainerLogs:
    """`/containerLogs/{namespace}/{pod}/{container}`."""

    def __init__(self, runtime: RuntimeDriver, pods: PodLister, clock: Clock) -> None:
        self._runtime = runtime
        self._pods = pods
        self._clock = clock

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, namespace: str, pod: str, container: str
    ) -> None:
        """Stream the output; the names only ever select among labels, never become a path (N69)."""
        try:
            options = parse_options({k: v if isinstance(v, str) else v[0] for k, v in req.params.items()}, self._clock)
            chosen = await self._find(namespace, pod, container, previous=options.previous)
        except ApiError as error:
            raise falcon.HTTPError(error.code, description=error.message) from error
        except RuntimeDriverError as error:
            raise falcon.HTTPInternalServerError(description=str(error)) from error
        lines = self._runtime.container_logs(chosen.id, follow=options.follow, since=options.since, tail=options.tail)
        resp.content_type = "text/plain; charset=utf-8"
        resp.stream = _quiet(stream(lines, options))

    def _absent(self, namespace: str, pod: str, container: str) -> falcon.HTTPError:
        """Say why a container has no log: it waits, or nobody here knows of it."""
        for known in self._pods.pods():
            if (known["metadata"].get("namespace"), known["metadata"]["name"]) != (namespace, pod):
                continue
            status = known.get("status") or {}
            for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
                waiting = (entry.get("state") or {}).get("waiting")
                if entry["name"] == container and waiting:
                    message = f'container "{container}" in pod "{pod}" is waiting to start: {waiting.get("reason", "")}'
                    return falcon.HTTPBadRequest(description=message)
        return falcon.HTTPNotFound(description=f'container "{container}" in pod "{pod}" is unknown on this node')

    async def _find(self, namespace: str, pod: str, container: str, *, previous: bool) -> ContainerStatus:
        mine = [
            c
            for c in await self._runtime.list_containers()
            if c.name == container and c.labels.get(LABEL_NAME) == pod and c.labels.get(LABEL_NAMESPACE) == namespace
        ]
        chosen = choose_attempt(mine, previous=previous)
        if chosen is None and previous and mine:
            message = f'previous terminated container "{container}" in pod "{pod}" not found'
            raise falcon.HTTPBadRequest(description=message)
        if chosen is None:
            raise self._absent(namespace, pod, container)
        return chosen


async def _quiet(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """End the stream with a readable line when the runtime fails in its middle: the headers are long gone."""
    try:
        async for chunk in chunks:
            yield chunk
    except RuntimeDriverError as error:
        yield f"failed to read the log: {error}\n".encode()


async def _on_error(
    _req: falcon.asgi.Request, resp: falcon.asgi.Response, error: falcon.HTTPError, _params: dict[str, Any]
) -> None:
    """Answer errors as a Status, so that the API server can pass them on."""
    resp.status = error.status
    resp.content_type = "application/json"
    code = error.status_code
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.description or error.title or "",
        "reason": {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 400: "BadRequest"}.get(
            code, "InternalError"
        ),
        "code": code,
    }
    resp.data = orjson.dumps(body)


def build_app(
    runtime: RuntimeDriver, pods: PodLister, clock: Clock, registry: CollectorRegistry, stats: StatsCollector,
    data_dir: Path,
) -> Callable[..., Awaitable[None]]:  # fmt: skip
    """Build the ASGI application. `data_dir` is where uploads are kept while they come."""
    app: Any = falcon.asgi.App(middleware=[OnlyApiServer()])
    app.add_error_handler(falcon.HTTPError, _on_error)
    app.add_route("/healthz", Healthz())
    app.add_route("/metrics", Metrics(registry))
    app.add_route("/pods", Pods(pods))
    app.add_route("/stats/summary", StatsSummary(stats))
    app.add_route("/images", Images(runtime))
    app.add_route("/images/import", ImageImport(runtime, data_dir / "imports"))
    app.add_route("/containerLogs/{namespace}/{pod}/{container}", ContainerLogs(runtime, pods, clock))
    streams = StreamRoutes(runtime)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await (streams if scope["type"] == "websocket" else app)(scope, receive, send)

    return serve
