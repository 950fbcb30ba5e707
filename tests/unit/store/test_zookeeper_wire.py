"""The batching of kazoo's connection: answers in pieces and in heaps, requests by the hundred, a connection that breaks."""

import asyncio
import struct

import pytest
from kazoo.protocol.serialization import GetData

from windlass.errors import StoreUnavailableError
from windlass.store.zookeeper.connection import AnswerLostError, Connection
from windlass.store.zookeeper.settings import ZooKeeperSettings

pytestmark = pytest.mark.filterwarnings(
    # kazoo leaves the socket of a failed connection attempt to the garbage collector.
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
GUARD_SECONDS = 60
SESSION_SECONDS = 6
CLOSE, GET_DATA = -11, 4
REQUESTS = 300


def answer(xid, zxid, value):
    """Encode the answer to a GetData."""
    stat = struct.pack(">qqqqiiiqiiq", zxid, zxid, 0, 0, 0, 0, 0, 0, len(value), 0, zxid)
    body = struct.pack(">iqi", xid, zxid, 0) + struct.pack(">i", len(value)) + value + stat
    return struct.pack(">i", len(body)) + body


class Server:
    """Answers a GetData with its path, once `hold` requests wait, in pieces of `piece` bytes; or breaks off."""

    def __init__(self, *, piece, hold=1, breaks=False):
        self._piece, self._hold, self._breaks = piece, hold, breaks
        self.sessions = self.requests = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_exc):
        self._server.close()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        try:
            await self._frame(reader)
            self.sessions += 1
            hello = struct.pack(">iiqi16s?", 0, SESSION_SECONDS * 1000, self.sessions, 16, bytes(16), False)
            writer.write(struct.pack(">i", len(hello)) + hello)
            waiting = []
            while True:
                frame = await self._frame(reader)
                xid, kind = struct.unpack_from(">ii", frame)
                if kind == CLOSE:
                    writer.write(struct.pack(">iiqi", 16, xid, 0, 0))
                elif kind == GET_DATA:
                    self.requests += 1
                    path = frame[12 : 12 + struct.unpack_from(">i", frame, 8)[0]]
                    waiting.append(answer(xid, 1000 + xid, path))
                if len(waiting) >= self._hold:
                    if self._breaks and self.sessions == 1:
                        return
                    await self._send(writer, b"".join(waiting))
                    waiting.clear()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _frame(self, reader):
        return await reader.readexactly(struct.unpack(">i", await reader.readexactly(4))[0])

    async def _send(self, writer, data):
        for start in range(0, len(data), self._piece):
            writer.write(data[start : start + self._piece])
            await writer.drain()


@pytest.fixture
async def connect():
    """Open connections to a server, closed at the end."""
    opened = []

    async def open_connection(server):
        settings = ZooKeeperSettings(session_timeout_seconds=SESSION_SECONDS, read_timeout_seconds=GUARD_SECONDS)
        connection = Connection(server.host, "", settings)
        opened.append(connection)
        await connection.open()
        return connection

    yield open_connection
    for connection in opened:
        await connection.close()


@pytest.mark.parametrize(("piece", "hold"), [(7, 1), (1 << 20, REQUESTS)])
async def test_every_request_gets_its_own_answer(connect, piece, hold):
    """However the answers are cut, each comes whole, in order, with its zxid."""
    async with Server(piece=piece, hold=hold) as server, asyncio.timeout(GUARD_SECONDS):
        connection = await connect(server)
        answers = await connection.answers([GetData(f"/n{n}", None) for n in range(REQUESTS)])
        assert [got.get()[0] for got in answers] == [b"/n%d" % n for n in range(REQUESTS)]
        zxids = [got.zxid for got in answers]
        assert zxids == sorted(set(zxids))
        await connection.close()


async def test_requests_of_several_turns(connect):
    """A request that is queued while others are being sent is not forgotten."""
    async with Server(piece=1 << 20) as server, asyncio.timeout(GUARD_SECONDS):
        connection = await connect(server)

        async def ask(number):
            for turn in range(20):
                value, _ = await connection.call(GetData(f"/{number}/{turn}", None))
                assert value == b"/%d/%d" % (number, turn)

        await asyncio.gather(*map(ask, range(30)))
        assert server.requests == 600
        await connection.close()


async def test_a_connection_that_breaks_fails_all_that_were_sent(connect):
    """R08: every one of them hears that its answer is lost; the next session works."""
    async with Server(piece=1 << 20, hold=50, breaks=True) as server, asyncio.timeout(GUARD_SECONDS):
        connection = await connect(server)
        answers = await connection.answers([GetData(f"/n{n}", None) for n in range(50)])
        for got in answers:
            with pytest.raises(AnswerLostError):
                got.get()
        while server.sessions < 2 or not connection.connected:
            await asyncio.sleep(0.01)
        again = await connection.answers([GetData(f"/m{n}", None) for n in range(50)])
        assert [got.get()[0] for got in again] == [b"/m%d" % n for n in range(50)]
        await connection.close()


async def test_a_closed_connection_takes_nothing(connect):
    async with Server(piece=1 << 20) as server, asyncio.timeout(GUARD_SECONDS):
        connection = await connect(server)
        await connection.close()
        with pytest.raises(StoreUnavailableError):
            connection.send(GetData("/n", None))
