"""kazoo's connection thread, which sends and receives in batches.

kazoo takes one request at a time from its queue, and reads an answer in two pieces, each behind a `select`. Every one of
these calls lets go of the interpreter's lock and has to win it back from the event loop: a dozen times for a commit.
Here what is queued goes out in one piece, and what has come in is read in one piece. The handshake, the session and
what an answer means are kazoo's own.
"""

import ssl
import struct
from typing import Any

from kazoo.protocol.connection import AUTH_XID, CLOSE_RESPONSE, ConnectionHandler
from kazoo.protocol.serialization import Auth

RECEIVE_BYTES = 256 << 10
SEND_BYTES = 256 << 10
MAX_XID = 2**31 - 1
LENGTH = struct.Struct("!i")
HEADER = struct.Struct("!iii")
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BatchingHandler(ConnectionHandler):  # type: ignore[misc]  # untyped library
    """Runs in a thread of its own, as its base does."""

    _xid: int

    def __init__(self, client: Any, retry: Any, logger: Any) -> None:
        super().__init__(client, retry, logger=logger)
        self._received = bytearray()
        self._taken = 0

    def _connect(self, host: str, hostip: str, port: int) -> Any:
        """Begin a connection: nothing of the last one counts."""
        self._received.clear()
        self._taken = 0
        return super()._connect(host, hostip, port)

    def _read_socket(self, read_timeout: float) -> Any:
        """Take everything that has come in, and leave what is incomplete for the next time."""
        self._receive()
        while self._has_frame():
            if super()._read_socket(read_timeout) == CLOSE_RESPONSE:
                return CLOSE_RESPONSE
        del self._received[: self._taken]
        self._taken = 0
        return None

    def _read(self, length: int, timeout: float) -> bytes:
        """Read from what has come in; only the handshake, before any of that, reads from the socket."""
        if not self._received:
            return bytes(super()._read(length, timeout))
        end = self._taken + length
        part = bytes(self._received[self._taken : end])
        self._taken = end
        return part

    def _has_frame(self) -> bool:
        start = self._taken + LENGTH.size
        if len(self._received) < start:
            return False
        return len(self._received) >= start + int(LENGTH.unpack_from(self._received, self._taken)[0])

    def _receive(self) -> None:
        with self._socket_error_handling():
            while True:
                try:
                    chunk = self._socket.recv(RECEIVE_BYTES)
                except WOULD_BLOCK:
                    return
                if not chunk:
                    # An OSError, so that it becomes what kazoo makes of a connection that broke.
                    raise ConnectionResetError("ZooKeeper closed the connection")
                self._received += chunk
                # TLS gives one record at a time, and `select` does not see those that it holds back.
                if not isinstance(self._socket, ssl.SSLSocket):
                    return

    def _send_request(self, _read_timeout: float, connect_timeout: float) -> None:
        """Send what is queued. The wake-ups are taken first: what is queued after them has one of its own."""
        self._read_sock.recv(RECEIVE_BYTES)
        queue, pending = self.client._queue, self.client._pending  # noqa: SLF001 - a part of the client
        while queue:
            batch = bytearray()
            while queue and len(batch) < SEND_BYTES:
                request, reply = queue[0]
                body = request.serialize()
                xid = self._next_xid(request)
                # From here on the outcome is open: when the connection breaks, kazoo fails what is pending.
                pending.append((request, reply, xid))
                queue.popleft()
                batch += HEADER.pack(len(body) + 8, xid, request.type)
                batch += body
            self._write(batch, connect_timeout)

    def _next_xid(self, request: Any) -> int:
        if request.type == Auth.type:
            return int(AUTH_XID)
        self._xid = self._xid % MAX_XID + 1
        return self._xid
