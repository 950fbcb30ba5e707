"""The shim's side of `attach`: clients on a UNIX socket get the container's output and may send its input.

A client that does not read holds the container's output back, as a terminal does, but only so long: one that has not
taken a byte for a while is cut off. Standard library only.
"""

import contextlib
import fcntl
import os
import selectors
import socket
import struct
import termios
import time
from pathlib import Path

from windlass_runtime.process import frames

MAX_CLIENTS = 32
MAX_PENDING = 1 << 20
MAX_STDIN = 64 * 1024
STALL_SECONDS = 30.0


class Client:
    """One attached client."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.reader = frames.FrameReader()
        self.pending = bytearray()
        self.progress = time.monotonic()
        self.mask = 0


class Console:
    """The clients of one container.

    `stdin` is a descriptor of its own for their input, -1 when there is none; `terminal` the one to resize, or -1.
    With `once`, the input ends when its first client has sent all or has gone.
    """

    def __init__(
        self, directory: Path, selector: selectors.BaseSelector, *, stdin: int, terminal: int, once: bool
    ) -> None:
        self._selector = selector
        self._stdin = stdin
        self._terminal = terminal
        self._once = once and terminal < 0
        self._input = bytearray()
        self._input_ends = False
        self._waiting = False
        self._clients: list[Client] = []
        self._listener = listen(directory / "attach.sock")
        selector.register(self._listener, selectors.EVENT_READ, self._accept)
        if stdin >= 0:
            os.set_blocking(stdin, False)

    @property
    def congested(self) -> bool:
        """Whether some client should read before the container writes on."""
        return any(len(client.pending) > MAX_PENDING for client in self._clients)

    def _accept(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            if len(self._clients) >= MAX_CLIENTS:
                connection.close()
                return
            connection.setblocking(False)
            client = Client(connection)
            self._clients.append(client)
            self._update(client)

    def _update(self, client: Client) -> None:
        """Wait for what a client can do: send, unless its input is stuck; take, when something waits for it."""
        mask = 0 if len(self._input) > MAX_STDIN else selectors.EVENT_READ
        mask |= selectors.EVENT_WRITE if client.pending else 0
        if mask == client.mask:
            return
        if client.mask:
            self._selector.unregister(client.socket)
        client.mask = mask
        if mask:
            self._selector.register(client.socket, mask, lambda ready: self._serve(client, ready))

    def _serve(self, client: Client, ready: int) -> None:
        """Take what a client sends, and give it what it waits for."""
        try:
            if ready & selectors.EVENT_WRITE:
                del client.pending[: client.socket.send(client.pending[:MAX_PENDING])]
                client.progress = time.monotonic()
            if ready & selectors.EVENT_READ:
                data = client.socket.recv(MAX_STDIN)
                if not data:
                    raise ConnectionResetError
                for kind, content in client.reader.feed(data):
                    self._take(kind, content)
            self._update(client)
        except BlockingIOError:
            return
        except (OSError, ValueError, struct.error):
            self._drop(client)

    def _take(self, kind: int, content: bytes) -> None:
        if kind == frames.STDIN and self._stdin >= 0:
            self._input += content
            self._feed_input()
        elif kind == frames.STDIN_END:
            self._end_input()
        elif kind == frames.RESIZE and self._terminal >= 0:
            width, height = frames.SIZE.unpack(content)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("=HHHH", height, width, 0, 0))

    def _end_input(self) -> None:
        self._input_ends = self._input_ends or self._once
        self._feed_input()

    def _feed_input(self, _ready: int = 0) -> None:
        """Write waiting input to the container; come back when it can take more."""
        if self._stdin < 0:
            self._input.clear()
            return
        blocked = False
        try:
            while self._input:
                del self._input[: os.write(self._stdin, self._input[:MAX_STDIN])]
        except BlockingIOError:
            blocked = True
        except OSError:
            self._input.clear()  # the program has closed its end
        if blocked != self._waiting:
            self._waiting = blocked
            if blocked:
                self._selector.register(self._stdin, selectors.EVENT_WRITE, self._feed_input)
            else:
                self._selector.unregister(self._stdin)
        if self._input_ends and not self._input:
            os.close(self._stdin)
            self._stdin = -1
        for client in self._clients:
            self._update(client)

    def _drop(self, client: Client) -> None:
        if client.mask:
            self._selector.unregister(client.socket)
        self._clients.remove(client)
        client.socket.close()
        if not self._clients:
            self._end_input()

    def send(self, kind: int, data: bytes) -> None:
        """Give output to every client."""
        for client in self._clients:
            if not client.pending:
                client.progress = time.monotonic()
            client.pending += frames.frame(kind, data)
            self._update(client)

    def cut_stalled(self) -> None:
        """Cut off clients that have not read for long."""
        for client in list(self._clients):
            if client.pending and time.monotonic() - client.progress > STALL_SECONDS:
                self._drop(client)

    def finish(self, code: int) -> None:
        """Tell every client how the container ended, and hang up. May wait for slow ones."""
        self._listener.close()
        with selectors.DefaultSelector() as selector:
            for client in self._clients:
                client.pending += frames.frame(frames.EXIT, frames.CODE.pack(code))
                selector.register(client.socket, selectors.EVENT_WRITE, client)
            while selector.get_map():
                ready = selector.select(STALL_SECONDS)
                if not ready:
                    return
                for key, _ in ready:
                    if not _flush(key.data):
                        selector.unregister(key.data.socket)
                        key.data.socket.close()

    @property
    def attached(self) -> bool:
        """Whether there is any client."""
        return bool(self._clients)


def _flush(client: Client) -> bool:
    """Send what a client can take; return False when it has all, or has gone."""
    try:
        del client.pending[: client.socket.send(client.pending[:MAX_PENDING])]
    except BlockingIOError:
        return True
    except OSError:
        return False
    return bool(client.pending)


def socket_path(directory: Path, descriptor: int) -> str:
    """Return a short name of a directory's socket: socket names are limited to 107 bytes."""
    return f"/proc/self/fd/{descriptor}/{directory.name}"


def listen(path: Path) -> socket.socket:
    """Listen at a path of any length."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        listener.bind(socket_path(path, descriptor))
    finally:
        os.close(descriptor)
    path.chmod(0o600)
    listener.listen(MAX_CLIENTS)
    listener.setblocking(False)
    return listener
