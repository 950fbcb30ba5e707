"""Containers that are plain processes of this machine: enough of a runtime for exec, attach and port-forward."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import signal
import struct
import termios
from pathlib import Path

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus


class ProcessStream:
    """One process; its streams are pipes, or a terminal."""

    def __init__(self, process, terminal):
        self._process, self._terminal = process, terminal
        self._queue = asyncio.Queue(4)
        self._tasks = []
        if terminal is None:
            sources = (("stdout", process.stdout), ("stderr", process.stderr))
            self._open = len(sources)
            self._tasks = [asyncio.ensure_future(self._pump(name, source.read)) for name, source in sources]
        else:
            self._open = 1
            self._tasks = [asyncio.ensure_future(self._pump("stdout", self._read_terminal))]

    @classmethod
    async def start(cls, command, tty):
        if not tty:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
            return cls(process, None)
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            "setsid", "-c", *command, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        return cls(process, ours)

    async def _pump(self, name, read):
        while data := await read(65536):
            await self._queue.put((name, data))
        await self._queue.put(None)

    async def _read_terminal(self, size):
        try:
            return await asyncio.to_thread(os.read, self._terminal, size)
        except OSError:
            return b""

    async def output(self):
        while self._open:
            item = await self._queue.get()
            if item is None:
                self._open -= 1
            else:
                yield item

    async def write(self, data):
        if self._terminal is not None:
            await asyncio.to_thread(os.write, self._terminal, data)
            return
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def close_stdin(self):
        if self._terminal is None:
            self._process.stdin.close()

    async def resize(self, width, height):
        if self._terminal is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    async def wait(self):
        return await self._process.wait()

    async def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        elif self._process.stdin:
            self._process.stdin.close()


class LocalRuntime:
    """Says that one container of each given pod runs, in the node's own network."""

    def __init__(self, labels, attached=("sh", "-c", "echo attached; cat")):
        self.labels, self.attached = labels, attached
        self.open = set()

    async def list_containers(self, _sandbox_id=""):
        return [
            ContainerStatus("c1", "s1", "main", 0, ContainerState.RUNNING, "i", "i", 1.0, 1.0, 0, 0, "", "", self.labels),
            ContainerStatus("c2", "s1", "ended", 0, ContainerState.EXITED, "i", "i", 1.0, 1.0, 2.0, 0, "", "", self.labels),
        ]

    async def list_pod_sandboxes(self):
        return [SandboxStatus("s1", True, 1.0, self.labels)]

    async def import_images(self, archive):
        digest = await asyncio.to_thread(lambda: hashlib.sha256(Path(archive).read_bytes()).hexdigest())
        return [digest]

    async def exec(self, _container_id, command, *, stdin, tty):
        return await self._start(command, tty)

    async def attach(self, _container_id, *, stdin):
        return await self._start(self.attached, False)

    async def _start(self, command, tty):
        try:
            stream = await ProcessStream.start(command, tty)
        except OSError as error:
            raise RuntimeDriverError(f"failed to start: {error}") from error
        self.open.add(stream)
        close = stream.close

        async def forget():
            await close()
            self.open.discard(stream)

        stream.close = forget
        return stream
