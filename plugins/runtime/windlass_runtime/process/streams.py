"""Connections to commands in containers (`ExecStream`) and to containers themselves (`AttachStream`)."""

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from windlass.errors import RuntimeDriverError
from windlass_runtime.process import frames
from windlass_runtime.process.console import socket_path
from windlass_runtime.process.execs import HANGUP, KILL
from windlass_runtime.process.launching import Launcher, receive, writable

READ_BYTES = 64 * 1024
EXEC_FAILED = 126
LOST = 137
CONTROL_BYTE = b"\x04"


class ExecStream:
    """A command that the launcher has started. Bytes pass through pipes or a terminal, never through another process."""

    def __init__(self, answers: socket.socket, outputs: Mapping[int, str], stdin: int, *, terminal: bool) -> None:
        self._answers = answers
        self._outputs = dict(outputs)
        self._stdin = stdin
        self._terminal = terminal
        self._code: int | None = None
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()
        for descriptor in {*outputs, stdin} - {-1}:
            os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(answers.fileno(), self._on_answer)

    def _on_answer(self) -> None:
        try:
            message = self._answers.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if message[:1] in (b"X", b""):
            asyncio.get_running_loop().remove_reader(self._answers.fileno())
            self._code = int(message[1:]) if message else LOST
            self._ended.set()
            self._wake.set()

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what comes until both streams have ended, or the command has and nothing more is there."""
        while self._outputs:
            self._wake.clear()
            over = self._ended.is_set()
            pieces = [piece for piece in map(self._read, list(self._outputs)) if piece is not None]
            for piece in pieces:
                yield piece
            if pieces:
                continue
            if over:
                return
            if self._outputs:
                await self._wait()

    def _read(self, descriptor: int) -> tuple[str, bytes] | None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # a terminal that the last program has left
        if data:
            return self._outputs[descriptor], data
        del self._outputs[descriptor]
        if descriptor != self._stdin:
            os.close(descriptor)
        return None

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        watched = list(self._outputs)
        for descriptor in watched:
            loop.add_reader(descriptor, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            for descriptor in self._outputs:  # `close` may have been here, and their numbers be somebody else's
                loop.remove_reader(descriptor)

    async def write(self, data: bytes) -> None:
        """Send to the command; what it no longer reads is dropped."""
        rest = memoryview(data)
        while rest and self._stdin >= 0:
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BlockingIOError:
                await self._until_writable()
            except OSError:
                await self.close_stdin()

    async def _until_writable(self) -> None:
        """Wait for room, or for the command's end."""
        room = asyncio.ensure_future(_writable_copy(self._stdin))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({room, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await self.close_stdin()
        finally:
            for waiter in (room, ended):
                waiter.cancel()
            await asyncio.gather(room, ended, return_exceptions=True)

    async def close_stdin(self) -> None:
        """End stdin; a terminal gets its end-of-file character."""
        if self._stdin < 0:
            return
        if self._terminal:
            with contextlib.suppress(OSError):
                os.write(self._stdin, CONTROL_BYTE)
        else:
            os.close(self._stdin)
            self._stdin = -1

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size."""
        if self._terminal and self._outputs:
            size = struct.pack("=HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0)
            fcntl.ioctl(next(iter(self._outputs)), termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """Return the exit code."""
        await self._ended.wait()
        return LOST if self._code is None else self._code

    async def kill(self) -> None:
        """Kill the command with all that it started, and wait for its end."""
        with contextlib.suppress(OSError):
            self._answers.send(KILL)
        await self._ended.wait()

    async def close(self) -> None:
        """Hang up. The command is killed a second later."""
        if self._answers.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._answers.send(HANGUP)
        asyncio.get_running_loop().remove_reader(self._answers.fileno())
        self._answers.close()
        self._ended.set()
        self._wake.set()
        for descriptor in self._outputs:
            asyncio.get_running_loop().remove_reader(descriptor)
        for descriptor in {*self._outputs, self._stdin} - {-1}:
            os.close(descriptor)
        self._outputs.clear()
        self._stdin = -1


async def _writable_copy(descriptor: int) -> None:
    """Wait for room in a descriptor that may be read at the same time (a terminal): a loop knows each only once."""
    copy = os.dup(descriptor)
    try:
        await writable(copy)
    finally:
        os.close(copy)


async def start_exec(
    launcher: Launcher, directory: Path, command: Sequence[str], *, stdin: bool, tty: bool
) -> ExecStream:
    """Begin a command in a container. Raises RuntimeDriverError with why it does not run."""
    ours: dict[int, str] = {}
    theirs: list[int] = []
    our_stdin = -1
    if not tty:
        if stdin:
            read, our_stdin = os.pipe()
        else:
            read = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs.append(read)
        for stream in ("stdout", "stderr"):
            read, write = os.pipe()
            ours[read] = stream
            theirs.append(write)
    request = {"kind": "exec", "directory": str(directory), "command": list(command), "tty": tty}
    try:
        answers = await launcher.send(request, theirs)
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    problem = b"the command's helper has died"
    while (answer := await receive(answers))[0]:
        message, descriptors = answer
        if descriptors:
            ours = {descriptors[0]: "stdout"}
            our_stdin = descriptors[0]
        elif message == b"S":
            return ExecStream(answers, ours, our_stdin if stdin or tty else -1, terminal=tty)
        elif message[:1] == b"E":
            problem = message[1:]
            break
    answers.close()
    for descriptor in {*ours, our_stdin} - {-1}:
        os.close(descriptor)
    raise RuntimeDriverError(problem.decode(errors="replace"), reason="ExecFailed")


class AttachStream:
    """A connection to a container's shim."""

    def __init__(self, connection: socket.socket, lost: Callable[[], int], *, stdin: bool) -> None:
        self._socket = connection
        self._lost = lost
        self._stdin = stdin
        self._frames = frames.FrameReader()
        self._code: int | None = None
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what the container writes from now on, until it ends."""
        while not self._ended.is_set():
            for kind, content in await self._receive():
                if kind == frames.EXIT:
                    (self._code,) = frames.CODE.unpack(content)
                    self._ended.set()
                elif kind in (frames.STDOUT, frames.STDERR):
                    yield "stdout" if kind == frames.STDOUT else "stderr", content

    async def _receive(self) -> list[tuple[int, bytes]]:
        while self._socket.fileno() >= 0:
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._wake.clear()
                asyncio.get_running_loop().add_reader(self._socket.fileno(), self._wake.set)
                await self._wake.wait()
                continue
            except OSError:
                data = b""
            if data:
                return list(self._frames.feed(data))
            break
        self._ended.set()
        return []

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._socket.fileno() >= 0:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await _writable_copy(self._socket.fileno())
            except OSError:
                return

    async def write(self, data: bytes) -> None:
        """Send to the container's stdin."""
        if self._stdin:
            for at in range(0, len(data), frames.MAX_CONTENT):
                await self._send(frames.frame(frames.STDIN, data[at : at + frames.MAX_CONTENT]))

    async def close_stdin(self) -> None:
        """End the input, where the container was created with `stdin_once`."""
        if self._stdin:
            self._stdin = False
            await self._send(frames.frame(frames.STDIN_END))

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size."""
        await self._send(frames.frame(frames.RESIZE, frames.SIZE.pack(width & 0xFFFF, height & 0xFFFF)))

    async def wait(self) -> int:
        """Return the container's exit code."""
        await self._ended.wait()
        return self._lost() if self._code is None else self._code

    async def close(self) -> None:
        """Let go; the container runs on."""
        self._ended.set()
        self._wake.set()
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()


async def start_attach(directory: Path, lost: Callable[[], int], *, stdin: bool) -> AttachStream:
    """Connect to a container's shim. Raises RuntimeDriverError when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    path = directory / "attach.sock"
    try:
        parent = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(socket_path(path, parent))
        finally:
            os.close(parent)
    except OSError as error:
        connection.close()
        raise RuntimeDriverError(
            f"the container's streams cannot be reached: {error}", reason="AttachFailed"
        ) from error
    return AttachStream(connection, lost, stdin=stdin)
