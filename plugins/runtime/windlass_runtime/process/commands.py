"""exec and attach: what the driver does with a running container's processes and streams."""

import asyncio
from collections.abc import Sequence

from windlass.clock import Clock
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerState, ExecResult, ExecTimeoutError
from windlass_runtime.process.launching import Launcher
from windlass_runtime.process.records import LOST_EXIT_CODE, Records
from windlass_runtime.process.streams import AttachStream, ExecStream, start_attach, start_exec


class Commands:
    """Runs commands in containers and attaches to them."""

    def __init__(self, launcher: Launcher, records: Records, clock: Clock) -> None:
        self._launcher = launcher
        self._records = records
        self._clock = clock

    def _check_running(self, container_id: str) -> None:
        found = self._records.container(container_id)
        if found is None:
            raise RuntimeDriverError(f"no container {container_id[:12]}", reason="NotFound")
        if found.state is not ContainerState.RUNNING:
            raise RuntimeDriverError(f"container {container_id[:12]} is not running", reason="NotRunning")

    async def start(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ExecStream:
        """Begin a command. Raises RuntimeDriverError with why it does not run."""
        self._check_running(container_id)
        if not command:
            raise RuntimeDriverError("no command specified", reason="ExecFailed")
        return await start_exec(
            self._launcher, self._records.container_dir(container_id), command, stdin=stdin, tty=tty
        )

    async def run(
        self, container_id: str, command: Sequence[str], timeout_seconds: float, max_output_bytes: int
    ) -> ExecResult:
        """Run a command to its end and keep the beginning of its output. Raises ExecTimeoutError after killing it."""
        stream = await self.start(container_id, command, stdin=False, tty=False)
        kept = bytearray()

        async def finish() -> int:
            async for _, data in stream.output():
                kept.extend(data[: max_output_bytes - len(kept)])
            return await stream.wait()

        finished = asyncio.ensure_future(finish())
        over = asyncio.ensure_future(self._clock.sleep(timeout_seconds)) if timeout_seconds > 0 else None
        try:
            await asyncio.wait({finished, over} if over else {finished}, return_when=asyncio.FIRST_COMPLETED)
            if finished.done():
                return ExecResult(finished.result(), bytes(kept))
            await stream.kill()
            message = f"command {command[0]!r} timed out after {timeout_seconds:g} s"
            raise ExecTimeoutError(message, reason="ExecTimeout")
        finally:
            waiting = [task for task in (finished, over) if task is not None]
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await stream.close()

    async def attach(self, container_id: str, *, stdin: bool) -> AttachStream:
        """Connect to a container's streams."""
        self._check_running(container_id)

        def exit_code() -> int:
            found = self._records.container(container_id)
            return found.exit_code if found is not None else LOST_EXIT_CODE

        return await start_attach(self._records.container_dir(container_id), exit_code, stdin=stdin)
