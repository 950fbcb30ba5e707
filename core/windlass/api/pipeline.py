"""What every request goes through: parse, authenticate, bound, authorise, serve, answer or refuse, count."""

import asyncio
import gzip
import random
import time

from windlass.api.config import ApiConfig
from windlass.api.guard import Guard
from windlass.api.lanes import Lanes
from windlass.api.metrics import Metrics
from windlass.api.request import ApiRequest, ParsedPath, parse_path
from windlass.api.response import ApiResponse, Response, Stream, Upgraded, as_api_error, error_response
from windlass.api.router import Router
from windlass.errors import ApiError, MethodNotAllowedError
from windlass.logs import get_logger

WRITE_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
CREATED_STREAMS = frozenset({"exec", "attach", "portforward"})
"""Subresources that are a creation whatever the method: `get` alone must not run commands (S49)."""
LONG_RUNNING = CREATED_STREAMS | {"log", "proxy"}
CACHED_VERBS = ("get", "list", "watch")
THREAD_BYTES = 1024 * 1024
log = get_logger(__name__)


class Pipeline:
    """Serves requests with the router's handlers, for whom the guard lets in."""

    def __init__(self, router: Router, guard: Guard, config: ApiConfig, metrics: Metrics) -> None:
        self._route = router.route
        self._resources = router.resources
        self._guard = guard
        self._config = config
        self._metrics = metrics
        self.lanes = Lanes(config, metrics.inflight)

    async def serve(self, request: ApiRequest) -> Response:
        """Serve one request; every error becomes a Status. A Stream's place in its lane is given back by its `close`."""
        started = time.perf_counter()
        request.audit_id = f"{random.getrandbits(128):032x}"
        try:
            response = await self._serve(request)
        except ApiError as error:
            response = error_response(error)
        except Exception as error:  # noqa: BLE001 - the top of the request: whatever it is, the client gets a Status
            response = self._unforeseen(request, error)
        response.headers.append(("audit-id", request.audit_id))
        if not isinstance(response, ApiResponse):
            return response
        self._count(request, response.status, time.perf_counter() - started)
        if len(response.body) > self._config.gzip_threshold_bytes:
            await self._compress(request, response)
        return response

    async def _serve(self, request: ApiRequest) -> Response:
        request.path = parse_path(request.raw_path)
        request.user = self._guard.authenticate(request)
        request.verb = _verb(request)
        streams = request.verb == "watch" or request.path.subresource in LONG_RUNNING
        lane = self.lanes.enter(request, streams=streams)
        response: Response | None = None
        try:
            self._guard.authorize(request)
            handle = self._route(request)
            if _has_its_own_deadline(request.verb, request.path):
                response = await handle(request)
            else:
                async with asyncio.timeout(self._config.request_timeout_seconds):
                    response = await handle(request)
        finally:
            if not isinstance(response, Stream | Upgraded):
                self.lanes.leave(lane)
        if isinstance(response, Stream | Upgraded):
            self._return_place(request, response, lane)
        return response

    def _return_place(self, request: ApiRequest, stream: Stream | Upgraded, lane: str) -> None:
        inner = stream.close

        async def close() -> None:
            self.lanes.leave(lane)
            self._count(request, stream.status, 0.0)
            if inner is not None:
                await inner()

        stream.close = close

    def _unforeseen(self, request: ApiRequest, error: Exception) -> ApiResponse:
        refusal = as_api_error(error)
        if refusal.code == 500:
            log.error(
                "request_failed", audit_id=request.audit_id, verb=request.verb, path=request.path.text, exc_info=error
            )
        else:
            log.warning(
                "request_refused", audit_id=request.audit_id, verb=request.verb, code=refusal.code, error=str(error)
            )
        return error_response(refusal)

    def _count(self, request: ApiRequest, code: int, seconds: float) -> None:
        path = request.path
        known = (path.group, path.version, path.plural) in self._resources
        group, plural = (path.group, path.plural) if known else ("", "")
        self._metrics.observe(request.verb, group, plural, code, seconds)

    async def _compress(self, request: ApiRequest, response: ApiResponse) -> None:
        if "gzip" not in request.header(b"accept-encoding").lower():
            return
        if len(response.body) > THREAD_BYTES:
            response.body = await asyncio.to_thread(gzip.compress, response.body, 1)
        else:
            response.body = gzip.compress(response.body, 1)
        response.headers += [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]


def _has_its_own_deadline(verb: str, path: ParsedPath) -> bool:
    """Whether a request is served from the cache, behind a barrier that ends in time, or is a proxy's, however long it is."""
    return path.subresource == "proxy" or (verb in CACHED_VERBS and bool(path.plural) and not path.subresource)


def _verb(request: ApiRequest) -> str:
    """Return Kubernetes' verb. Raises 405 for methods that nothing here has."""
    method, path = request.method, request.path
    if path.subresource in CREATED_STREAMS and method in ("GET", "POST"):
        return "create"
    if path.subresource == "proxy":
        return _proxy_verb(request)
    if method == "GET":
        if not path.plural or path.subresource:
            return "get"
        if request.flag("watch"):
            return "watch"
        return "get" if path.name else "list"
    verb = WRITE_VERBS.get(method)
    if verb is None:
        raise MethodNotAllowedError(f"the server does not allow the method {method}")
    return "deletecollection" if verb == "delete" and path.plural and not path.name else verb


def _proxy_verb(request: ApiRequest) -> str:
    """Return the verb of a proxied method. A WebSocket to a node is a creation: the agent may run commands over it."""
    if request.is_websocket and request.path.plural == "nodes":
        return "create"
    return WRITE_VERBS.get(request.method, "get")
