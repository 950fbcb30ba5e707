"""Between Falcon and the pipeline: one responder for every request, streams that end when the client goes, WebSockets.

Falcon's responses pull from a generator, the pipeline's streams push chunks; a queue of one joins them, so that a slow
client slows the stream down and nothing gathers. Falcon does not say when the client of a streamed response has gone, so
the ASGI `receive` is kept in the scope and awaited beside the stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi

from windlass.api.pipeline import Pipeline
from windlass.api.request import ApiRequest
from windlass.api.response import ApiResponse, Stream, as_api_error, error_response
from windlass.errors import ApiError, BadRequestError, NotFoundError
from windlass.logs import get_logger

RECEIVE = "windlass.receive"
LOG_PROTOCOLS = ("binary.k8s.io", "")
WEBSOCKET_REFUSED = 4000
log = get_logger(__name__)


class AsgiApp(falcon.asgi.App):  # type: ignore[type-arg]
    """Falcon's application, which keeps `receive` where a stream can find it."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # type: ignore[override]
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            scope[RECEIVE] = receive
        await super().__call__(scope, receive, send)


class Adapter:
    """Serves Falcon's requests through the pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_params: str) -> None:
        """Serve a routed request as any other; the pipeline knows best which methods a path has."""
        await self.on_request(req, resp)

    on_head = on_post = on_put = on_patch = on_delete = on_options = on_trace = on_connect = on_get

    async def on_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_params: str) -> None:
        """Serve one HTTP request."""
        request = ApiRequest(req.scope, _chunks(req))
        _answer(resp, await self._pipeline.serve(request), req.scope)

    async def on_error(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response | None,
        error: Exception,
        _params: dict[str, Any],
        ws: falcon.asgi.WebSocket | None = None,
    ) -> None:
        """Answer what Falcon itself refused with a Status."""
        if isinstance(error, falcon.HTTPNotFound):
            refusal: ApiError = NotFoundError("the server could not find the requested resource")
        elif isinstance(error, falcon.HTTPError):
            refusal = BadRequestError(str(error.title or error))
        else:
            refusal = as_api_error(error)
        if refusal.code == 500:
            log.error("request_failed_outside_the_pipeline", path=req.path, exc_info=error)
        if resp is not None:
            _answer(resp, error_response(refusal), req.scope)
        elif ws is not None and not ws.closed:
            await ws.close(WEBSOCKET_REFUSED)

    async def on_websocket(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket, **_params: str) -> None:
        """Serve a container's output as binary frames, as Kubernetes does for `pods/{name}/log`."""
        response = await self._pipeline.serve(ApiRequest({**req.scope, "method": "GET"}, None))
        offered = ws.subprotocols or ("",)
        protocol = next((known for known in LOG_PROTOCOLS if known in offered), None)
        if isinstance(response, ApiResponse) or protocol is None:
            await ws.close(WEBSOCKET_REFUSED)
            return
        await ws.accept(subprotocol=protocol or None)
        try:
            await response.run(ws.send_data)
            await ws.close()
        except falcon.WebSocketDisconnected:
            log.debug("log_client_went_away", path=req.path)
        finally:
            if response.close is not None:
                await response.close()


def _answer(resp: falcon.asgi.Response, response: ApiResponse | Stream, scope: dict[str, Any]) -> None:
    for name, value in response.headers:
        resp.append_header(name, value)
    resp.content_type = response.content_type
    if isinstance(response, ApiResponse):
        resp.status = response.status
        resp.data = response.body
    else:
        resp.stream = _Pulled(response, scope[RECEIVE])


async def _chunks(req: falcon.asgi.Request) -> AsyncIterator[bytes]:
    async for chunk in req.stream:
        yield chunk


class _Pulled:
    """A pushed stream, pulled by Falcon; ends with the stream or with the client."""

    def __init__(self, stream: Stream, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._stream = stream
        self._receive = receive
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        producer = loop.create_task(self._stream.run(self._chunks.put))
        gone = loop.create_task(self._client_gone())
        self._tasks = [producer, gone]
        try:
            # The head of the answer goes out at once, also when nothing has happened yet.
            yield b""
            while (chunk := await self._next(producer, gone)) is not None:
                yield chunk
        finally:
            await self.close()

    async def _next(self, producer: "asyncio.Task[None]", gone: "asyncio.Task[None]") -> bytes | None:
        """Return the next chunk, None at the end of the stream or of the client."""
        if not self._chunks.empty():
            return self._chunks.get_nowait()
        waiting = asyncio.get_running_loop().create_task(self._chunks.get())
        await asyncio.wait((waiting, producer, gone), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        if producer.done() and not producer.cancelled() and producer.exception() is not None:
            log.warning("stream_failed", error=repr(producer.exception()))
        return None if gone.done() or self._chunks.empty() else self._chunks.get_nowait()

    async def _client_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def close(self) -> None:
        """End the stream's tasks and give back what it holds. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        close, self._stream.close = self._stream.close, None
        if close is not None:
            await close()
