"""One ZooKeeper session, from asyncio: pipelined requests with deadlines, answers in batches.

kazoo does the protocol in a thread of its own. A request is handed to it with a `_Reply`, on which that thread calls
`set` or `set_exception`; requests that are sent together wake that thread once, answers that come together the event
loop. The zxid in the reply's header, the revision of a commit, is read there: kazoo stores it just before it calls
`set`, in the same thread.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    ConnectionLoss,
    NoAuthError,
    OperationTimeoutError,
    SessionExpiredError,
    SessionMovedError,
)
from kazoo.protocol.states import KazooState, KeeperState, ZnodeStat
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_digest_acl

from windlass.errors import StoreUnavailableError
from windlass.logs import get_logger
from windlass.store.zookeeper.settings import ZooKeeperSettings
from windlass.store.zookeeper.wire import BatchingHandler

SILENT_CHECKS = 4
"""kazoo pings an idle server only: one that it keeps sending to could be silent forever. So we look, too."""

_LOST = (ConnectionLoss, ConnectionClosedError, SessionExpiredError, SessionMovedError, OperationTimeoutError)
_ENDED = (KeeperState.AUTH_FAILED, KeeperState.CLOSED, KeeperState.EXPIRED_SESSION)
log = get_logger(__name__)

# kazoo's debug messages print whole requests, and with them Secrets: never let them out.
_kazoo_log = logging.getLogger("windlass.store.zookeeper.kazoo")
_kazoo_log.setLevel(logging.WARNING)


class AnswerLostError(StoreUnavailableError):
    """The connection went before the answer came: a write may or may not have happened."""


class Answer(NamedTuple):
    """The outcome of one request. `value` is kazoo's; `zxid` the server's position when it answered."""

    value: Any
    zxid: int
    error: Exception | None

    def get(self) -> Any:
        """Return the value or raise: AnswerLostError, StoreUnavailableError, or kazoo's NoNodeError and the like."""
        if self.error is None:
            return self.value
        if isinstance(self.error, _LOST):
            raise AnswerLostError(f"ZooKeeper's answer was lost: {type(self.error).__name__}") from self.error
        if isinstance(self.error, NoAuthError | AuthFailedError):
            raise StoreUnavailableError("ZooKeeper refuses our credentials") from self.error
        raise self.error


class _Reply:
    """Where kazoo's connection thread puts one answer. Speaks the part of IAsyncResult that it calls."""

    __slots__ = ("_connection", "_future")

    def __init__(self, connection: "Connection", future: "asyncio.Future[Answer]") -> None:
        self._connection = connection
        self._future = future

    def set(self, value: Any = None) -> None:
        self._connection.deliver(self._future, value, None)

    def set_exception(self, exception: Exception) -> None:
        self._connection.deliver(self._future, None, exception)


class Connection:
    """A session that comes back by itself. Requests fail at once while it is suspended."""

    def __init__(self, hosts: str, credentials: str, settings: ZooKeeperSettings) -> None:
        user, _, password = credentials.partition(":")
        self.acl: Sequence[ACL] = [make_digest_acl(user, password, all=True)] if user else OPEN_ACL_UNSAFE
        self._hosts = hosts
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._answers: deque[tuple[asyncio.Future[Answer], Answer]] = deque()
        self._wake_scheduled = False
        self._flush_scheduled = False
        self._connected = False
        self._closed = False
        self.offset = 0
        """What revisions have above zxids: every zxid of an answer has it added."""
        self._online = asyncio.Event()
        self._unanswered = 0
        self._heard = False
        self._silent_checks = 0
        self._check: asyncio.TimerHandle | None = None
        self._client = KazooClient(
            hosts=hosts,
            timeout=settings.session_timeout_seconds,
            auth_data=[("digest", credentials)] if user else None,
            connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=2, max_delay=0.5, max_jitter=0.2),
            logger=_kazoo_log,
            use_ssl=bool(settings.ca or settings.cert),
            ca=settings.ca or None,
            certfile=settings.cert or None,
            keyfile=settings.key or None,
        )
        client = self._client
        client._connection = BatchingHandler(client, client._conn_retry.copy(), _kazoo_log)  # noqa: SLF001 - no other way
        client.add_listener(self._on_state)

    @property
    def connected(self) -> bool:
        """Whether a request can be sent now."""
        return self._connected

    async def open(self) -> None:
        """Connect. Raises StoreUnavailableError when nothing answers before the commit deadline."""
        self._client.start_async()
        try:
            async with asyncio.timeout(self._settings.commit_timeout_seconds):
                await self._online.wait()
        except TimeoutError:
            await self.close()
            raise StoreUnavailableError(f"no ZooKeeper server answers at {self._hosts}") from None
        self._check = self._loop.call_later(self._check_seconds, self._check_answers)

    async def close(self) -> None:
        """End the session."""
        self._closed = True
        self._connected = False
        if self._check is not None:
            self._check.cancel()
        await asyncio.to_thread(self._stop)
        self._online.set()

    def _stop(self) -> None:
        self._client.stop()
        self._client.close()

    async def wait_connected(self) -> None:
        """Wait until requests can be sent; raises StoreUnavailableError when closed."""
        await self._online.wait()
        if self._closed:
            raise StoreUnavailableError("the ZooKeeper store is closed")

    def send(self, request: Any) -> "asyncio.Future[Answer]":
        """Queue a request; requests are answered in the order in which they were sent. The future never fails."""
        if not self._connected:
            raise StoreUnavailableError("the connection to ZooKeeper is suspended")
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._unanswered += 1
        self._enqueue(request, _Reply(self, future))
        return future

    def _enqueue(self, request: Any, reply: _Reply) -> None:
        """Queue for kazoo's thread, and wake it when this turn of the event loop has queued all that it will.

        Earlier wake-ups would let ZooKeeper begin sooner, but the two threads would hand the interpreter's lock to and fro.
        """
        client = self._client
        if client._state in _ENDED:  # noqa: SLF001 - see the module's docstring
            client._call(request, reply)  # noqa: SLF001 - which says why not
            return
        client._queue.append((request, reply))  # noqa: SLF001
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        client = self._client
        try:
            client._connection._write_sock.send(b"\0")  # noqa: SLF001
        except (OSError, AttributeError):  # closed, or closing: no thread will send these any more
            client._notify_pending(KeeperState.CLOSED)  # noqa: SLF001

    async def call(self, request: Any) -> Any:
        """Send a request and return its value, within the read deadline."""
        return (await self.answers([request]))[0].get()

    async def answers(self, requests: Sequence[Any]) -> list[Answer]:
        """Send requests together and wait for all. Raises StoreUnavailableError at the read deadline."""
        futures = [self.send(request) for request in requests]
        try:
            async with asyncio.timeout(self._settings.read_timeout_seconds):
                return [await future for future in futures]
        except TimeoutError:
            raise StoreUnavailableError(
                f"ZooKeeper did not answer within {self._settings.read_timeout_seconds:g} s"
            ) from None

    def deliver(self, future: "asyncio.Future[Answer]", value: Any, error: Exception | None) -> None:
        """Take an answer, in kazoo's thread."""
        self._answers.append((future, Answer(value, self._client.last_zxid, error)))
        if not self._wake_scheduled:
            self._wake_scheduled = True
            self.call_on_loop(self._settle)

    def call_on_loop(self, callback: Any, *arguments: Any) -> None:
        """Call on the event loop from any thread; dropped when the loop has already ended."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError as error:
            log.debug("zookeeper_answer_after_the_loop", error=str(error))

    def _settle(self) -> None:
        self._wake_scheduled = False
        self._heard = True
        while self._answers:
            future, answer = self._answers.popleft()
            self._unanswered -= 1
            if not future.done():
                future.set_result(_shifted(answer, self.offset) if self.offset else answer)

    @property
    def _check_seconds(self) -> float:
        return self._settings.session_timeout_seconds / (SILENT_CHECKS + 2)

    def _check_answers(self) -> None:
        """Leave a server that answers nothing any more. Counts checks, not time: our own stalls prove nothing."""
        silent = self._connected and self._unanswered > 0 and not self._heard
        self._silent_checks = self._silent_checks + 1 if silent else 0
        self._heard = False
        if self._silent_checks >= SILENT_CHECKS:
            self._silent_checks = 0
            log.warning("zookeeper_silent", unanswered=self._unanswered)
            self._break()
        self._check = self._loop.call_later(self._check_seconds, self._check_answers)

    def _break(self) -> None:
        """End the TCP connection; kazoo's thread sees that, fails what is under way and looks for another server."""
        connection = self._client._connection._socket  # noqa: SLF001 - kazoo offers no way to give up on a server
        try:
            if connection is not None:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("zookeeper_connection_gone", error=str(error))

    def _on_state(self, state: Any) -> None:
        """Take a change of state, in kazoo's thread: it must not block."""
        self._connected = state == KazooState.CONNECTED and not self._closed
        self.call_on_loop(self._note_state, str(state))

    def _note_state(self, state: str) -> None:
        log.info("zookeeper_session", state=state)
        if self._connected:
            self._online.set()
        elif not self._closed:
            self._online.clear()


def _shifted(answer: Answer, offset: int) -> Answer:
    """Turn zxids into revisions: of the answer, and of the znode's stat that it may hold."""
    value = answer.value
    if isinstance(value, ZnodeStat):
        value = _shifted_stat(value, offset)
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], ZnodeStat):
        value = (value[0], _shifted_stat(value[1], offset))
    return Answer(value, answer.zxid + offset, answer.error)


def _shifted_stat(stat: Any, offset: int) -> Any:
    return stat._replace(czxid=stat.czxid + offset, mzxid=stat.mzxid + offset, pzxid=stat.pzxid + offset)
