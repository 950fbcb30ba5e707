"""One request driven through an ASGI application in this process, with a streaming answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote

from windlass.errors import UnavailableError

BUFFERED_CHUNKS = 64
_END = b""


class AsgiExchange:
    """Runs the application in a task of its own from `start` to `close`; the task is always awaited."""

    def __init__(self, app: Any, body: bytes) -> None:
        self._app = app
        self._body: bytes | None = body
        self._started: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | BaseException] = asyncio.Queue(BUFFERED_CHUNKS)
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @staticmethod
    def scope(method: str, path: str, query: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the ASGI scope of a request."""
        sent = {"host": "windlass", **{name.lower(): value for name, value in headers.items()}}
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 443),
        }

    async def start(self, scope: dict[str, Any]) -> tuple[int, dict[str, str]]:
        """Begin; return status and headers when the application has sent them."""
        if self._body:
            scope["headers"].append((b"content-length", str(len(self._body)).encode()))
        self._task = asyncio.get_running_loop().create_task(self._run(scope))
        return await self._started

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it is sent. Raises what the application raised."""
        while True:
            chunk = await self._chunks.get()
            if isinstance(chunk, BaseException):
                raise UnavailableError(f"the application failed in its answer: {chunk!r}") from chunk
            if chunk == _END:
                return
            yield chunk

    async def close(self) -> None:
        """Tell the application that the client has gone, and wait until it is done."""
        self._gone.set()
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - handed to whoever reads the answer
            self._fail(error)
            return
        if not self._started.done():
            self._fail(RuntimeError("the application ended without an answer"))

    def _fail(self, error: BaseException) -> None:
        if not self._started.done():
            self._started.set_exception(UnavailableError(f"the application failed: {error!r}"))
            return
        if self._chunks.full():
            self._chunks.get_nowait()
        self._chunks.put_nowait(error)

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message.get("headers", ())}
            self._started.set_result((message["status"], headers))
            return
        if message.get("body"):
            await self._chunks.put(bytes(message["body"]))
        if not message.get("more_body"):
            await self._chunks.put(_END)
