"""Both ends of a WebSocket without a network, and a container whose streams the test holds."""

import asyncio
import contextlib

import pytest

from windlass.websocket import WebSocketPeer

PATIENCE = 20


class Socket:
    """The client's end. `window` is how many messages the server may send before it waits."""

    def __init__(self, subprotocols=(), window=1000):
        self.inbox, self.outbox = asyncio.Queue(), asyncio.Queue(window)
        self.lost = asyncio.Event()
        self.closed = None
        scope = {"subprotocols": list(subprotocols), "extensions": {"windlass.lost": self.lost}}
        self.peer = WebSocketPeer(scope, self.inbox.get, self._send)

    async def _send(self, event):
        if self.lost.is_set():
            raise OSError("gone")
        if event["type"] == "websocket.close":
            self.closed = event
        await self.outbox.put(event)

    def say(self, message):
        self.inbox.put_nowait({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})

    def leave(self):
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def hear(self):
        """Return the next message, None at the end."""
        async with asyncio.timeout(PATIENCE):
            event = await self.outbox.get()
        if event["type"] == "websocket.close":
            return None
        return event.get("bytes", event.get("text"))

    async def hear_all(self):
        heard = []
        while (message := await self.hear()) is not None:
            heard.append(message)
        return heard


class Stream:
    """A runtime's ContainerStream."""

    def __init__(self):
        self.produced, self.written = asyncio.Queue(), []
        self.exit = asyncio.get_running_loop().create_future()
        self.stdin_ended, self.closes, self.sizes = asyncio.Event(), 0, []
        self.reads = asyncio.Event()
        self.reads.set()
        self.writing = asyncio.Event()

    async def output(self):
        while (item := await self.produced.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def write(self, data):
        self.writing.set()
        await self.reads.wait()
        self.written.append(data)

    async def close_stdin(self):
        self.stdin_ended.set()

    async def resize(self, width, height):
        self.sizes.append((width, height))

    async def wait(self):
        return await self.exit

    async def close(self):
        self.closes += 1

    def end(self, code):
        self.produced.put_nowait(None)
        self.exit.set_result(code)


@pytest.fixture
async def socket():
    return Socket(("v5.channel.k8s.io",))


@pytest.fixture
def make_socket():
    return Socket


@pytest.fixture
async def container():
    return Stream()


@pytest.fixture
def running():
    """Run something beside the test; it has ended, one way or the other, when the block ends."""

    @contextlib.asynccontextmanager
    async def run(part):
        task = asyncio.ensure_future(part)
        try:
            yield task
            async with asyncio.timeout(PATIENCE):
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run
