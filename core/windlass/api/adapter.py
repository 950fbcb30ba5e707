"""Between Falcon and the pipeline: one responder for every request, streams that end when the client goes, WebSockets.

Falcon does not say when the client of a streamed response has gone, and takes chunks one at a time through a generator.
So ASGI's `receive` and `send` are kept in the scope: a stream listens for the client's going and sends its chunks itself.
A queue and two tasks per chunk, which joining a pushing stream to a pulling generator needs, cost more than the chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi

from windlass.api.pipeline import Pipeline
from windlass.api.request import RECEIVE, ApiRequest
from windlass.api.response import ApiResponse, Stream, Upgraded, as_api_error, error_response
from windlass.api.websockets import WebSocketEntry
from windlass.errors import ApiError, BadRequestError, NotFoundError
from windlass.logs import get_logger

SEND = "windlass.send"
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
log = get_logger(__name__)


class AsgiApp(falcon.asgi.App):  # type: ignore[type-arg]
    """Falcon's application, which keeps `receive` and `send` where a stream can find them; WebSockets go past Falcon.

    Falcon's own WebSockets read ahead and cannot answer a handshake with an HTTP status.
    """

    websockets: WebSocketEntry | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # type: ignore[override]
        """Serve one ASGI connection."""
        if scope["type"] == "websocket" and self.websockets is not None:
            await self.websockets(scope, receive, send)
            return
        if scope["type"] == "http":
            scope[RECEIVE], scope[SEND] = receive, send
            receive = _Begun(receive)
        await super().__call__(scope, receive, send)


class _Begun:
    """`receive` whose first event is there at once: Falcon waits for one before it serves.

    A body that is refused by its head is thus refused without a byte of it, and the pipeline's deadline counts for one
    that never comes.
    """

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._receive = receive
        self._begun = False

    async def __call__(self) -> dict[str, Any]:
        if self._begun:
            return await self._receive()
        self._begun = True
        return {"type": "http.request", "body": b"", "more_body": True}


class Adapter:
    """Serves Falcon's requests through the pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def on_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_params: str) -> None:
        """Serve one HTTP request."""
        response = await self._pipeline.serve(ApiRequest(req.scope, _chunks(req.scope[RECEIVE])))
        if isinstance(response, Upgraded):
            raise TypeError("a WebSocket's handler agreed to a request that is none")
        if req.method == "HEAD" and isinstance(response, Stream):
            # Falcon sends no body, so it would never touch the stream.
            await _Pushed(response, req.scope).close()
            response = ApiResponse(
                b"", content_type=response.content_type, headers=response.headers, status=response.status
            )
        _answer(resp, response, req.scope)

    async def on_error(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response | None, error: Exception, _params: dict[str, Any]
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


def _answer(resp: falcon.asgi.Response, response: ApiResponse | Stream, scope: dict[str, Any]) -> None:
    for name, value in response.headers:
        resp.append_header(name, value)
    resp.content_type = response.content_type
    resp.status = response.status
    if isinstance(response, ApiResponse):
        resp.data = response.body
    else:
        resp.stream = _Pushed(response, scope)  # type: ignore[assignment]  # any object with __aiter__ will do


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Falcon's own stream would first copy it into a buffer. Raises 400 when it is cut."""
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise BadRequestError("the body is cut short: the client went away")
        more = event.get("more_body", False)
        yield event.get("body", b"")


class _Pushed:
    """A stream as Falcon wants it: something to iterate.

    It yields once, so that the head of the answer goes out, and then sends its chunks itself; it ends with the stream or
    with the client.
    """

    def __init__(self, stream: Stream, scope: dict[str, Any]) -> None:
        self._stream = stream
        self._receive: Receive = scope[RECEIVE]
        self._send: Send = scope[SEND]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield b""
            async with asyncio.TaskGroup() as group:
                producer = group.create_task(self._produce())
                listener = group.create_task(self._cancel_when_client_goes(producer))
                producer.add_done_callback(lambda _done: listener.cancel())
        finally:
            await self.close()

    async def _produce(self) -> None:
        try:
            await self._stream.run(self._push)
        except Exception as error:
            log.warning("stream_failed", exc_info=error)

    async def _push(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _cancel_when_client_goes(self, producer: "asyncio.Task[None]") -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        producer.cancel()

    async def close(self) -> None:
        """Give back what the stream holds. Idempotent."""
        close, self._stream.close = self._stream.close, None
        if close is not None:
            await close()
