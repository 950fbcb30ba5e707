"""Messages between two WebSockets: both ends, silence, and a backend that does not listen."""

import asyncio

import aiohttp
import pytest

from windlass.api.relay import Relay
from windlass.websocket import WebSocketPeer


class Backend:
    def __init__(self):
        self.messages, self.sent, self.close_code, self.closed = asyncio.Queue(), [], None, 0
        self.takes = True

    async def receive(self):
        return await self.messages.get()

    async def send_bytes(self, data):
        if not self.takes:
            await asyncio.Event().wait()
        self.sent.append(data)

    async def close(self):
        self.closed += 1


class Client:
    def __init__(self):
        self.inbox, self.sent, self.lost = asyncio.Queue(), [], asyncio.Event()
        self.peer = WebSocketPeer({"extensions": {"windlass.lost": self.lost}}, self.inbox.get, self._send)

    async def _send(self, event):
        self.sent.append(event)


@pytest.fixture
async def ends():
    return Client(), Backend()


async def run(client, backend, idle=60.0):
    async with asyncio.timeout(20):
        await Relay(client.peer, backend, idle).run()


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1011, 1011), (1006, 1000), (4001, 4001)])
async def test_the_backends_end_is_told(ends, code, told):
    client, backend = ends
    backend.close_code = code
    backend.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, b"last", None))
    backend.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSE, code, "bye"))
    await run(client, backend)
    assert client.sent[0]["bytes"] == b"last"
    assert (client.sent[1]["code"], client.sent[1]["reason"]) == (told, "bye")


async def test_a_backend_that_vanishes(ends):
    client, backend = ends
    backend.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))
    await run(client, backend)
    assert client.sent[-1]["code"] == 1011


async def test_silence_ends_it(ends):
    client, backend = ends
    await run(client, backend, idle=0.05)
    assert client.sent[-1]["code"] == 1001
    assert backend.closed == 1


async def test_a_lost_client_while_the_backend_does_not_read(ends):
    client, backend = ends
    backend.takes = False
    client.inbox.put_nowait({"type": "websocket.receive", "bytes": b"stuck"})
    running = asyncio.ensure_future(run(client, backend))
    while not client.inbox.empty():
        await asyncio.sleep(0)
    client.lost.set()
    await running
    assert (backend.sent, backend.closed) == ([], 1)


async def test_one_message_at_a_time(ends):
    """Nothing is kept in between: a client that does not take stops the backend."""
    client, backend = ends
    taken = asyncio.Semaphore(0)

    async def slow(event):
        await taken.acquire()
        client.sent.append(event)

    client.peer._send = slow
    for number in range(100):
        backend.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, bytes((number,)), None))
    running = asyncio.ensure_future(run(client, backend))
    for _ in range(50):
        await asyncio.sleep(0)
    assert backend.messages.qsize() == 99
    client.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await running
