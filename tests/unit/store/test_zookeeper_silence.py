"""R06: a server that took the connection and then says nothing, while requests keep coming."""

import asyncio
import struct

import pytest
from kazoo.protocol.serialization import Exists

from windlass.errors import StoreUnavailableError
from windlass.store.zookeeper.connection import Connection
from windlass.store.zookeeper.settings import ZooKeeperSettings

pytestmark = pytest.mark.filterwarnings(
    # kazoo leaves the socket of a failed connection attempt to the garbage collector.
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
SESSION_SECONDS = 1.5
GUARD_SECONDS = 60


class SilentServer:
    """Says yes to a session and reads everything, but answers no request."""

    def __init__(self):
        self.sessions = 0
        self.requests = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_exc):
        self._server.close()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        try:
            await reader.readexactly(struct.unpack(">i", await reader.readexactly(4))[0])
            self.sessions += 1
            answer = struct.pack(">iiqi16s?", 0, int(SESSION_SECONDS * 1000), self.sessions, 16, bytes(16), False)
            writer.write(struct.pack(">i", len(answer)) + answer)
            while await reader.read(65536):
                self.requests += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def test_a_silent_server_is_left_however_busy_we_are():
    """R06: kazoo pings an idle server only; with requests under way all the time it would never look."""
    async with SilentServer() as server:
        settings = ZooKeeperSettings(session_timeout_seconds=SESSION_SECONDS, read_timeout_seconds=GUARD_SECONDS)
        connection = Connection(server.host, "", settings)
        await connection.open()
        failed = []
        try:
            async with asyncio.timeout(GUARD_SECONDS), asyncio.TaskGroup() as group:
                while server.sessions < 2 or not failed:
                    group.create_task(ask(connection, Exists("/", None), failed))
                    await asyncio.sleep(0.01)
                await connection.close()
        finally:
            await connection.close()
    assert failed
    assert server.requests > 10


async def ask(connection, request, failed):
    try:
        await connection.call(request)
    except StoreUnavailableError as error:
        failed.append(error)
