"""Commands in Docker's containers: run to their end, or connected to; and connections to containers themselves."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ExecResult, ExecTimeoutError
from windlass_runtime.docker.engine import DockerApiError, DockerEngine
from windlass_runtime.docker.hijack import Connection, open_stream
from windlass_runtime.docker.logs import FrameParser

CHUNK = 1 << 16
FIRST_POLL_SECONDS = 0.002
LONGEST_POLL_SECONDS = 0.25
RESIZE_TRIES = 10
STARTING_POLLS = 40
STARTING_POLL_SECONDS = 0.05
HANGUP_SECONDS = 1.0
log = get_logger(__name__)


class DockerStream:
    """A ContainerStream over a hijacked connection. `exit_code` waits for the process's end, `hang_up` brings it."""

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool,
        exit_code: Callable[[], Awaitable[int]],
        resize: Callable[[int, int], Awaitable[None]],
        hang_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._reader, self._writer = connection
        self._tty = tty
        self._exit_code = exit_code
        self._resize = resize
        self._hang_up = hang_up
        self._ended = False
        self._closed = False

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what the process writes, until it has ended or the connection is closed."""
        parser = FrameParser()
        while not self._closed:
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                break
            if self._tty:
                yield "stdout", chunk
                continue
            for frame in parser.feed(chunk):
                yield frame
        self._ended = True

    async def write(self, data: bytes) -> None:
        """Send to stdin. What is sent after the process has gone is lost, as with a pipe nobody reads."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def close_stdin(self) -> None:
        """End stdin by closing this half of the connection."""
        with contextlib.suppress(OSError):
            if not self._writer.is_closing() and self._writer.can_write_eof():
                self._writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size."""
        if self._tty:
            await self._resize(width, height)

    async def wait(self) -> int:
        """Return the exit code."""
        return await self._exit_code()

    async def close(self) -> None:
        """Hang up, unless the process has ended by itself."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        if self._hang_up is not None and not self._ended:
            await self._hang_up()


class Processes:
    """Exec and attach on one engine."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    async def _create(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> str:
        body = {
            "Cmd": list(command),
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": tty,
        }
        try:
            made = await self._engine.request("POST", f"/containers/{container_id}/exec", body=body)
        except DockerApiError as error:
            raise RuntimeDriverError(str(error.explanation), reason=_reason(error)) from error
        return str(made["Id"])

    async def _begin(
        self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> tuple[str, Connection]:
        exec_id = await self._create(container_id, command, stdin=stdin, tty=tty)
        try:
            connection = await open_stream(self._engine, f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty})
        except DockerApiError as error:
            raise RuntimeDriverError(str(error.explanation), reason=_reason(error)) from error
        return exec_id, connection

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> DockerStream:
        """Begin a command and connect to it."""
        exec_id, connection = await self._begin(container_id, command, stdin=stdin, tty=tty)
        return DockerStream(
            connection,
            tty=tty,
            exit_code=lambda: self._exit_code(exec_id),
            resize=lambda width, height: self._resize(f"/exec/{exec_id}", width, height),
            hang_up=lambda: self._hang_up(exec_id),
        )

    async def attach(
        self, container_id: str, *, stdin: bool, tty: bool, exit_code: Callable[[], Awaitable[int]]
    ) -> DockerStream:
        """Connect to a container's own streams."""
        query = f"stream=1&stdout=1&stderr=1&stdin={int(stdin)}"
        try:
            connection = await open_stream(self._engine, f"/containers/{container_id}/attach?{query}")
        except DockerApiError as error:
            raise RuntimeDriverError(str(error.explanation), reason=_reason(error)) from error
        return DockerStream(
            connection,
            tty=tty,
            exit_code=exit_code,
            resize=lambda width, height: self._resize(f"/containers/{container_id}", width, height),
        )

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float, max_output_bytes: int
    ) -> ExecResult:
        """Run a command to its end; at most `max_output_bytes` are kept, the rest is read and dropped."""
        exec_id, connection = await self._begin(container_id, command, stdin=False, tty=False)
        output = bytearray()
        try:
            async with asyncio.timeout(timeout_seconds if timeout_seconds > 0 else None):
                parser = FrameParser()
                while chunk := await connection[0].read(CHUNK):
                    for _, data in parser.feed(chunk):
                        output += data[: max(0, max_output_bytes - len(output))]
                code = await self._exit_code(exec_id)
        except TimeoutError:
            await self._signal(exec_id, signal.SIGKILL)
            raise ExecTimeoutError(f"command timed out after {timeout_seconds:g} s", reason="ExecTimeout") from None
        except BaseException:
            with contextlib.suppress(RuntimeDriverError):
                await self._signal(exec_id, signal.SIGKILL)
            raise
        finally:
            connection[1].close()
        return ExecResult(code, bytes(output))

    async def _inspect(self, exec_id: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._engine.request("GET", f"/exec/{exec_id}/json")
        except DockerApiError as error:
            raise RuntimeDriverError(f"cannot look at a command: {error.explanation}") from error
        return found

    async def _exit_code(self, exec_id: str) -> int:
        """Wait for the end. Docker notes it a moment after the output has ended, so that asking soon suffices."""
        pause = FIRST_POLL_SECONDS
        while True:
            found = await self._inspect(exec_id)
            if not found.get("Running"):
                code = found.get("ExitCode")
                return 137 if code is None else int(code)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_POLL_SECONDS)

    async def _pid(self, exec_id: str) -> int:
        """Return the process of a command, 0 when it has ended. One that is only just starting is waited for."""
        for _ in range(STARTING_POLLS):
            try:
                found = await self._inspect(exec_id)
            except RuntimeDriverError as error:
                log.debug("exec_not_found", error=str(error))
                return 0
            pid = int(found.get("Pid") or 0)
            if found.get("ExitCode") is not None:
                return 0
            if pid > 1:
                return pid
            await asyncio.sleep(STARTING_POLL_SECONDS)
        return 0

    async def _signal(self, exec_id: str, number: signal.Signals) -> bool:
        """Signal a command and what it started; return False when it has ended already.

        Docker's API cannot end a command, but the process is this machine's, and `nsenter` made it a session leader.
        """
        pid = await self._pid(exec_id)
        if pid <= 1:
            return False
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    async def _hang_up(self, exec_id: str) -> None:
        """HUP, and KILL after a second."""
        if not await self._signal(exec_id, signal.SIGHUP):
            return
        try:
            async with asyncio.timeout(HANGUP_SECONDS):
                await self._exit_code(exec_id)
        except TimeoutError:
            await self._signal(exec_id, signal.SIGKILL)

    async def _resize(self, path: str, width: int, height: int) -> None:
        """Set a terminal's size; a command that is only just starting is asked again."""
        pause = FIRST_POLL_SECONDS
        for _ in range(RESIZE_TRIES):
            try:
                await self._engine.request("POST", f"{path}/resize", params={"w": str(width), "h": str(height)})
            except DockerApiError as error:
                log.debug("resize_refused", error=str(error.explanation))
                await asyncio.sleep(pause)
                pause *= 2
            else:
                return


def _reason(error: DockerApiError) -> str:
    """Name what Docker refused. Pure."""
    return {404: "NotFound", 409: "ContainerNotRunning"}.get(error.status_code or 0, "RuntimeError")
