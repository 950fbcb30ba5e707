"""kazoo for asyncio: calls with deadlines, results handed to the loop in batches, and the truth about the connection.

kazoo runs threads of its own. Its calls are made here only in their asynchronous form; a result wakes the loop once for
all results that have gathered, not once each. Everything waits under a deadline, since kazoo's own waits have none.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    ConnectionClosedError,
    ConnectionLoss,
    NoAuthError,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
)
from kazoo.security import make_digest_acl

from windlass.errors import StoreUnavailableError
from windlass.logs import get_logger

LOST = (ConnectionLoss, ConnectionClosedError, SessionExpiredError, SessionMovedError, OperationTimeoutError)
CALL_SECONDS = 8.0
log = get_logger(__name__)


class Session:
    """A connection to an ensemble, with our ACL on all that it makes."""

    def __init__(self, hosts: str, credentials: str, session_seconds: float) -> None:
        user, _, password = credentials.partition(":")
        self._client = KazooClient(
            hosts=hosts,
            timeout=session_seconds,
            auth_data=[("digest", credentials)],
            default_acl=(make_digest_acl(user, password, all=True),),
            connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 1.0, "ignore_expire": True},
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settled: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._lock = threading.Lock()
        self._woken = False
        self._connected = asyncio.Event()

    async def start(self) -> None:
        """Connect. Raises StoreUnavailableError when no server answers in time."""
        self._loop = asyncio.get_running_loop()
        self._client.add_listener(self._on_state)
        self._client.start_async()
        await self.wait_connected(CALL_SECONDS)

    async def close(self) -> None:
        """Disconnect and end kazoo's threads."""
        await asyncio.to_thread(self._client.stop)
        await asyncio.to_thread(self._client.close)

    async def wait_connected(self, seconds: float) -> None:
        """Wait for a connection. Raises StoreUnavailableError."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            raise StoreUnavailableError(f"no ZooKeeper server answered within {seconds:g} s") from None

    @property
    def connected(self) -> bool:
        """Whether a server is connected now; False at once when kazoo says SUSPENDED."""
        return self._connected.is_set()

    @property
    def raw(self) -> Any:
        """kazoo's client, for building transactions and asynchronous calls."""
        return self._client

    async def call(self, start: Callable[[Any], Any]) -> Any:
        """Start an asynchronous kazoo call and wait for its result. Raises what kazoo raises, or StoreUnavailableError."""
        if not self._connected.is_set():
            raise StoreUnavailableError("ZooKeeper is not connected; nothing was written")
        future = self.submit(start)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await future
        except TimeoutError:
            raise OperationTimeoutError(f"no answer within {CALL_SECONDS:g} s") from None
        except NoAuthError as error:
            raise StoreUnavailableError(
                "ZooKeeper refused our credentials for this tree; give those that made it: zookeeper://USER:PASSWORD@host:port/..."
            ) from error

    async def read(self, start: Callable[[Any], Any]) -> Any:
        """Do as `call`, for calls that change nothing: a lost connection is StoreUnavailableError."""
        try:
            return await self.call(start)
        except LOST as error:
            raise StoreUnavailableError(f"ZooKeeper did not answer: {type(error).__name__}") from error

    def submit(self, start: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        """Start an asynchronous call and return a future on our loop. For pipelining; wait under a deadline."""
        assert self._loop is not None
        future: asyncio.Future[Any] = self._loop.create_future()
        start(self._client).rawlink(lambda result: self._arrived(future, result))
        return future

    def wake(self, event: asyncio.Event) -> Callable[[Any], None]:
        """Return a watch callback that sets an event on our loop."""
        loop = self._loop
        assert loop is not None
        return lambda _event: loop.call_soon_threadsafe(event.set)

    def _arrived(self, future: "asyncio.Future[Any]", result: Any) -> None:
        """Take a result on kazoo's thread; wake the loop if nobody has yet."""
        with self._lock:
            self._settled.append((future, result))
            wake, self._woken = not self._woken, True
        if wake and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        with self._lock:
            settled, self._settled, self._woken = self._settled, deque(), False
        for future, result in settled:
            if future.done():
                continue
            if result.exception is not None:
                future.set_exception(result.exception)
            else:
                future.set_result(result.value)

    def _on_state(self, state: str) -> None:
        """Only sets an event: nothing may block in kazoo's listener."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        log.info("zookeeper_connection", state=state)
        loop.call_soon_threadsafe(self._connected.set if state == KazooState.CONNECTED else self._connected.clear)
