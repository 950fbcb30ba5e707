"""exec and attach: a container's streams and a WebSocket, joined until one of them ends.

Nothing is kept in between: a chunk is read from one side only when the other has taken the one before.
"""

import asyncio
from dataclasses import dataclass

from windlass.apimachinery.channels import (
    CLOSE,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    ChannelError,
    Codec,
    error_message,
    exit_status,
    failure_status,
    parse_resize,
)
from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ContainerStream
from windlass.websocket import PeerGoneError, WebSocketPeer, first_of

CHUNK_BYTES = 32 * 1024
CLOSE_SECONDS = 10.0
CHANNELS = {"stdout": STDOUT, "stderr": STDERR}
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Which streams a client wants."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    def wants(self, name: str) -> bool:
        """Whether the client wants an output stream; with a terminal there is only one."""
        return self.stdout if name == "stdout" else self.stderr and not self.tty


class RemoteCommand:
    """One joined pair. `tells_exit_code`: exec says how the command ended, attach only that it did."""

    def __init__(
        self,
        peer: WebSocketPeer,
        codec: Codec,
        stream: ContainerStream,
        options: StreamOptions,
        *,
        tells_exit_code: bool,
    ) -> None:
        self._peer = peer
        self._codec = codec
        self._stream = stream
        self._options = options
        self._tells_exit_code = tells_exit_code

    async def run(self) -> None:
        """Join them until either ends; closes both."""
        try:
            await self._peer.send(self._codec.encode(STDOUT if self._options.stdout else STDERR, b""))
            await first_of(self._send_output(), self._take_input(), self._peer.lost())
        except PeerGoneError:
            log.debug("streaming_client_went_away")
        except ChannelError as error:
            await self._end(str(error))
        finally:
            # The close of an exec is what ends its process: it happens even when this task is being cancelled.
            await asyncio.shield(self._close())

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._stream.close()
        except (RuntimeDriverError, TimeoutError, OSError) as error:
            log.warning("container_stream_not_closed", error=str(error))
        await self._peer.close()

    async def _send_output(self) -> None:
        try:
            async for name, data in self._stream.output():
                if self._options.wants(name):
                    for at in range(0, len(data), CHUNK_BYTES):
                        await self._peer.send(self._codec.encode(CHANNELS[name], data[at : at + CHUNK_BYTES]))
            code = await self._stream.wait()
        except (RuntimeDriverError, OSError) as error:
            await self._end(f"the stream from the container broke: {error}")
            return
        status = exit_status(code if self._tells_exit_code else 0)
        await self._say(error_message(self._codec, status))

    async def _end(self, message: str) -> None:
        await self._say(error_message(self._codec, failure_status(message)))

    async def _say(self, message: bytes) -> None:
        try:
            if message:
                await self._peer.send(self._codec.encode(ERROR, message))
            await self._peer.close()
        except PeerGoneError:
            log.debug("streaming_client_went_away")

    async def _take_input(self) -> None:
        """Pass the client's messages on. Returns when the client is gone."""
        stdin = self._options.stdin
        while (message := await self._peer.receive()) is not None:
            channel, data = self._codec.decode(message)
            if channel == STDIN and stdin:
                stdin = await self._write(data)
            elif channel == RESIZE:
                size = parse_resize(data)
                if size is not None:
                    await self._resize(*size)
            elif channel == CLOSE and self._codec.ends_streams:
                if data[:1] == bytes((STDIN,)) and stdin:
                    stdin = False
                    await self._close_stdin()
            elif channel not in (STDIN, STDOUT, STDERR, ERROR):
                raise ChannelError(f"a message on channel {channel}, which there is not")

    async def _write(self, data: bytes) -> bool:
        """Write to stdin; return whether the process still reads it. Its exit is told by the output's end."""
        try:
            if data:
                await self._stream.write(data)
        except (RuntimeDriverError, OSError) as error:
            log.debug("stdin_closed_by_process", error=str(error))
            return False
        return True

    async def _close_stdin(self) -> None:
        try:
            await self._stream.close_stdin()
        except (RuntimeDriverError, OSError) as error:
            log.debug("stdin_closed_by_process", error=str(error))

    async def _resize(self, width: int, height: int) -> None:
        try:
            await self._stream.resize(width, height)
        except (RuntimeDriverError, OSError) as error:
            log.debug("terminal_not_resized", error=str(error))
