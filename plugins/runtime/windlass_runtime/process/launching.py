"""The driver's side of the launcher: starts it, sends it requests, reads the answers."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass_runtime.process import files

PROGRAM = Path(__file__).with_name("launcher.py")
CLOSE_SECONDS = 5.0


async def readable(descriptor: int) -> None:
    """Wait until a descriptor has something to read, or its end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_reader(descriptor, ready)
    try:
        await future
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Wait until a descriptor can be written to."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_writer(descriptor, ready)
    try:
        await future
    finally:
        loop.remove_writer(descriptor)


async def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next message with its descriptors, empty at the end."""
    while True:
        try:
            return files.receive(connection, 4096, 1)
        except BlockingIOError:
            await readable(connection.fileno())
        except OSError:
            return b"", []


class Launcher:
    """Starts the launcher at the first request, and again when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._sending = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Return its process id, 0 when it does not run."""
        return self._process.pid if self._process else 0

    def _start(self) -> socket.socket:
        """Start the program: quick, as it waits for nothing."""
        self.close()
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", str(PROGRAM), str(its.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(its.fileno(),), start_new_session=True, env={"PATH": os.environ.get("PATH", os.defpath)},
            )  # fmt: skip
        mine.setblocking(False)
        self._socket = mine
        return mine

    async def send(self, request: Mapping[str, Any], streams: Sequence[int] = ()) -> socket.socket:
        """Send a request and return the socket of its answers. Raises RuntimeDriverError when nobody takes it."""
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.setblocking(False)
        with its:
            for _ in range(2):
                try:
                    await self._deliver(json.dumps(request).encode(), [its.fileno(), *streams])
                except OSError:
                    self.close()  # it has died: once more with a new one
                else:
                    return mine
        mine.close()
        raise RuntimeDriverError("the launcher does not run")

    async def _deliver(self, data: bytes, descriptors: list[int]) -> None:
        async with self._sending:
            connection = self._socket or self._start()
            while True:
                try:
                    socket.send_fds(connection, [data], descriptors)
                except BlockingIOError:
                    await writable(connection.fileno())
                else:
                    return

    async def run(self, kind: str, directory: Path, reason: str) -> None:
        """Start a sandbox or container. Raises RuntimeDriverError with why it does not run."""
        (directory / "run.json").unlink(missing_ok=True)  # of an earlier boot of the machine
        for _ in range(2):
            answers = await self.send({"kind": kind, "directory": str(directory)})
            with answers:
                problem, _ = await receive(answers)
            if problem:
                raise RuntimeDriverError(problem.decode(errors="replace"), reason=reason)
            if (directory / "run.json").exists():
                return
            # Nobody holds the other end any more, so nothing of it lives: the launcher has died with the request.
        raise RuntimeDriverError(f"the {kind}'s helper has died", reason=reason)

    def close(self) -> None:
        """End it; whatever it has started runs on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(CLOSE_SECONDS)  # it does what it was asked and ends
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
