"""The Docker Engine behind asyncio: the SDK's blocking calls in a thread pool of their own, every one with a deadline.

A call that hangs (k8s #94829) costs one thread until its socket times out, and nothing else: the others go on. The two
endless streams, events and followed logs, do not use threads at all but aiohttp on the same socket, because a thread
that is blocked in `recv` cannot be cancelled. `request` goes the same way for the calls that pods make all the time.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import docker
import docker.errors
import requests

from windlass.errors import RuntimeDriverError

T = TypeVar("T")
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
THREADS = 32
CALL_SECONDS = 30.0
UNAVAILABLE = "RuntimeUnavailable"
NotFound = docker.errors.NotFound
DockerApiError = docker.errors.APIError


def raise_for(status: int, text: str) -> None:
    """Raise NotFound or DockerApiError, as the SDK does, for a refused request."""
    if status < 400:
        return
    explanation = text.strip()
    if explanation.startswith("{"):
        explanation = str(json.loads(explanation).get("message", explanation))
    kind = NotFound if status == 404 else DockerApiError
    raise kind(explanation, SimpleNamespace(status_code=status, reason="", url=""), explanation)  # type: ignore[arg-type]


class DockerEngine:
    """One engine. `call` runs a function of the SDK's low-level client; `stream` follows an endless answer."""

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, *, call_seconds: float = CALL_SECONDS) -> None:
        self.endpoint = endpoint
        self._seconds = call_seconds
        self._client: docker.APIClient | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        self._session: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Open the connection and agree on an API version. Idempotent."""
        if self._client is not None:
            return
        loop = asyncio.get_running_loop()
        self._client = await self._guard(loop.run_in_executor(self._pool, self._make_client), self._seconds)

    def _make_client(self) -> docker.APIClient:
        return docker.APIClient(
            base_url=self.endpoint, version="auto", timeout=int(self._seconds), num_pools=4, max_pool_size=THREADS
        )

    async def close(self) -> None:
        """Close the connections; hung threads end by their own time-out."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._client is not None:
            self._client.close()
            self._client = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def call(self, function: Callable[[docker.APIClient], T], *, seconds: float = 0.0) -> T:
        """Run `function(client)` in a thread.

        Raises NotFound and DockerApiError as the SDK does, RuntimeDriverError when the engine does not answer.
        """
        await self.connect()
        client = self._client
        assert client is not None
        loop = asyncio.get_running_loop()
        return await self._guard(loop.run_in_executor(self._pool, function, client), seconds or self._seconds)

    async def _guard(self, future: "asyncio.Future[T]", seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds + 1):
                return await future
        except TimeoutError:
            raise RuntimeDriverError(f"Docker did not answer within {seconds:g} s", reason=UNAVAILABLE) from None
        except (requests.exceptions.RequestException, docker.errors.DockerException) as error:
            if isinstance(error, docker.errors.APIError):
                raise
            raise RuntimeDriverError(f"Docker cannot be reached: {error}", reason=UNAVAILABLE) from error

    async def url(self, path: str) -> str:
        """Return the URL of a path of the agreed API version."""
        await self.connect()
        assert self._client is not None
        host = "http://docker" if self.endpoint.startswith("unix://") else self.endpoint.replace("tcp://", "http://")
        return f"{host}/v{self._client.api_version}{path}"

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = 0.0,
    ) -> Any:
        """Call without a thread and return the parsed answer, None when it is empty. Raises as `call` does."""
        url = await self.url(path)
        data = None if body is None else json.dumps(body)
        limit = seconds or self._seconds
        try:
            async with asyncio.timeout(limit):
                try:
                    status, text = await self._exchange(method, url, params, data)
                except (aiohttp.ServerDisconnectedError, ConnectionError):
                    # A connection kept from before the daemon's restart. All our calls may be repeated.
                    status, text = await self._exchange(method, url, params, data)
        except TimeoutError:
            raise RuntimeDriverError(f"Docker did not answer within {limit:g} s", reason=UNAVAILABLE) from None
        except (aiohttp.ClientError, OSError) as error:
            raise RuntimeDriverError(f"Docker cannot be reached: {error}", reason=UNAVAILABLE) from error
        raise_for(status, text)
        return json.loads(text) if text.strip() else None

    async def _exchange(
        self, method: str, url: str, params: Mapping[str, str] | None, data: str | None
    ) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"} if data is not None else {}
        session = self._open_session()
        async with session.request(method, url, params=params, data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            path = self.endpoint.removeprefix("unix://")
            connector = (
                aiohttp.UnixConnector(path, limit=0)
                if self.endpoint.startswith("unix://")
                else aiohttp.TCPConnector(limit=0)
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._seconds)
            )
        return self._session

    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield an answer's bytes as they come. The first item is empty: the engine has accepted the request.

        Raises RuntimeDriverError (reason NotFound for 404).
        """
        url = await self.url(path)
        try:
            async with self._open_session().get(url, params=params) as answer:
                if answer.status >= 400:
                    reason = "NotFound" if answer.status == 404 else "RuntimeError"
                    raise RuntimeDriverError((await answer.text()).strip(), reason=reason)
                yield b""
                async for chunk in answer.content.iter_any():
                    yield chunk
        except aiohttp.ClientError as error:
            raise RuntimeDriverError(f"Docker's stream broke: {error}", reason=UNAVAILABLE) from error
