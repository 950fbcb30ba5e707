"""One forwarded connection: a bounded queue of what the client sends, and a socket to the pod."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable

from windlass.errors import RuntimeDriverError
from windlass_hostagent.server.dial import Connection

QUEUE_CHUNKS = 16
READ_BYTES = 32 * 1024
Connect = Callable[[int], Awaitable[Connection]]
SendData = Callable[[bytes, bool], Awaitable[None]]
"""Send data to the client; True with the last of it."""
SendError = Callable[[str], Awaitable[None]]
Taken = Callable[[int], Awaitable[None]]


class ForwardedConnection:
    """One connection to a port of the pod. `send_data`/`send_error` go to the client, `taken` says what was passed on.

    `ends_halves`: the client can end its own half and go on reading; otherwise the pod's end is the end.
    """

    def __init__(
        self,
        port: int,
        *,
        send_data: SendData,
        send_error: SendError,
        taken: Taken | None = None,
        ends_halves: bool = False,
    ) -> None:
        self.port = port
        self._ends_halves = ends_halves
        self._send_data = send_data
        self._send_error = send_error
        self._taken = taken
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_CHUNKS)
        self._ended = False

    async def put(self, data: bytes) -> None:
        """Take data from the client; waits while the pod does not read. Dropped once the connection has ended."""
        if data and not self._ended:
            await self._incoming.put(data)

    async def put_end(self) -> None:
        """Take the end of the client's data."""
        if not self._ended:
            await self._incoming.put(None)

    async def run(self, connect: Connect) -> None:
        """Connect, copy both ways until both have ended, and say on the error stream what went wrong."""
        try:
            reader, writer = await connect(self.port)
            try:
                await self._copy(reader, writer)
            finally:
                writer.transport.abort()  # after a clean end nothing is left to send; else nobody will take it
        except (OSError, RuntimeDriverError, TimeoutError) as error:
            await self._send_error(f"the connection to port {self.port} of the pod failed: {_words(error)}")
            await self._send_data(b"", True)
        finally:
            self._ended = True
            while not self._incoming.empty():  # whoever waits to put goes on
                self._incoming.get_nowait()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uploads = asyncio.ensure_future(self._upload(writer))
        try:
            while data := await reader.read(READ_BYTES):
                await self._send_data(data, False)
            await self._send_data(b"", True)
            await self._send_error("")
            if self._ends_halves:
                await asyncio.wait((uploads,))
        finally:
            uploads.cancel()
            await asyncio.gather(uploads, return_exceptions=True)

    async def _upload(self, writer: asyncio.StreamWriter) -> None:
        """Pass the client's data on; what a pod no longer reads is dropped, its end is told by the other direction."""
        broken = False
        while (data := await self._incoming.get()) is not None:
            if not broken:
                try:
                    writer.write(data)
                    await writer.drain()
                except OSError:
                    broken = True
            if self._taken is not None:
                await self._taken(len(data))
        if not broken and not writer.transport.is_closing():
            writer.write_eof()
            await writer.drain()


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
