"""A real ensemble of three, and a proxy that cuts connections at the worst moment."""

import asyncio
import contextlib
import gc
import itertools

import pytest

from windlass.store.zookeeper import ZooKeeperStore
from windlass.store.zookeeper.settings import ZooKeeperSettings
from windlass.testing.zookeeper import Ensemble

SESSION_SECONDS = 2.0
numbers = itertools.count()


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    ensemble = Ensemble(tmp_path_factory.mktemp("zk3"), 3)
    ensemble.start()
    yield ensemble
    ensemble.stop()


@pytest.fixture
def ensemble(three):
    """Three running servers before and after each test."""
    yield three
    for server in three.servers:
        if server.process is None:
            server.start()
    three.wait_serving()


@pytest.fixture
async def opened(ensemble):
    """Open stores on one tree of the test's own: `await opened(hosts="", segment_entries=4096, ...)`."""
    root, stores = f"/t{next(numbers)}", []

    async def open_store(hosts="", credentials="tester:secret", **settings):
        chosen = ZooKeeperSettings(session_timeout_seconds=SESSION_SECONDS, **settings)
        store = ZooKeeperStore(f"{hosts or ensemble.hosts}{root}", credentials, settings=chosen)
        await store.start()
        stores.append(store)
        return store

    open_store.root = root
    yield open_store
    for store in stores:
        await store.close()
    gc.collect()  # what kazoo leaves behind is reported here, not in another test


class CuttingProxy:
    """Forwards to a server. When armed, it forwards the next large request and cuts: the reply is lost."""

    def __init__(self, port):
        self._server_port = port
        self._armed = False
        self._connections = set()
        self.cuts = 0

    async def start(self):
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def stop(self):
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await asyncio.sleep(0)

    def arm(self):
        self._armed = True

    async def _serve(self, reader, writer):
        connection = asyncio.current_task()
        self._connections.add(connection)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            await self._forward(reader, writer, far_reader, far_writer)
        finally:
            writer.transport.abort()
            far_writer.transport.abort()
            self._connections.discard(connection)

    async def _forward(self, reader, writer, far_reader, far_writer):
        async def back():
            while data := await far_reader.read(65536):
                writer.write(data)

        with contextlib.suppress(ConnectionError, OSError):
            async with asyncio.TaskGroup() as group:
                answers = group.create_task(back())
                while data := await reader.read(65536):
                    cut = self._armed and len(data) > 200
                    if cut:
                        answers.cancel()
                        self._armed = False
                        self.cuts += 1
                    far_writer.write(data)
                    await far_writer.drain()
                    if cut:
                        writer.transport.abort()
                        await far_reader.read(1)
                        break
                answers.cancel()


@pytest.fixture
async def proxy(ensemble):
    proxy = CuttingProxy(ensemble.servers[0].client_port)
    await proxy.start()
    yield proxy
    await proxy.stop()
