"""One proxied exchange with a backend that the test holds: bodies stream, and whoever stops is cut off."""

import asyncio

import aiohttp.web
import pytest

from windlass.api.request import RECEIVE, ApiRequest, parse_path
from windlass.api.response import ApiResponse, Stream, Upgraded
from windlass.api.reverse_proxy import ProxyTarget, ReverseProxy
from windlass.errors import BadRequestError, UnavailableError

PATIENCE = 20
PATH = b"/api/v1/namespaces/default/pods/web/proxy/x"


class Backend:
    def __init__(self):
        self.seen, self.received, self.release = [], bytearray(), asyncio.Event()
        self.got_some, self.gone = asyncio.Event(), asyncio.Event()

    async def handle(self, request):
        self.seen.append((request.method, request.path_qs, dict(request.headers)))
        if request.path == "/ws":
            socket = aiohttp.web.WebSocketResponse(protocols=("echo",))
            await socket.prepare(request)
            async for message in socket:
                await (socket.send_bytes if message.type is aiohttp.WSMsgType.BINARY else socket.send_str)(message.data)
            self.gone.set()
            return socket
        if request.path == "/empty":
            return aiohttp.web.Response(status=204)
        if request.path == "/moved":
            return aiohttp.web.Response(status=302, headers={"Location": "http://169.254.169.254/", "Set-Cookie": "a=b"})
        try:
            async for chunk in request.content.iter_any():
                self.received += chunk
                self.got_some.set()
        except (ConnectionError, aiohttp.ClientError):
            self.gone.set()
            raise
        if request.path == "/wait":
            await self.release.wait()
        response = aiohttp.web.StreamResponse(status=207, headers={"Content-Type": "text/x", "X-Own": "1"})
        await response.prepare(request)
        await response.write(b"first ")
        await self.release.wait()
        await response.write(b"second")
        return response


@pytest.fixture
async def backend():
    backend = Backend()
    server = aiohttp.web.Server(backend.handle)
    runner = aiohttp.web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    backend.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield backend
    await runner.cleanup()
    for _ in range(5):
        await asyncio.sleep(0)


class Client:
    """What ASGI gives for one request."""

    def __init__(self, method="GET", headers=(), subprotocols=None):
        self.events = asyncio.Queue()
        self.scope = {
            "type": "http" if subprotocols is None else "websocket", "method": method, "path": PATH.decode(), "raw_path": PATH,
            "headers": [(name.encode(), value.encode()) for name, value in headers], "query_string": b"", "client": ("::1", 1),
            RECEIVE: self.events.get, "subprotocols": subprotocols or [],
        }
        self.request = ApiRequest(self.scope, self._chunks())
        self.request.path = parse_path(PATH)

    async def _chunks(self):
        while True:
            event = await self.events.get()
            if event["type"] == "http.disconnect":
                raise BadRequestError("the body is cut short: the client went away")
            yield event["body"]
            if not event["more_body"]:
                return

    def send(self, body, more=True):
        self.events.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self):
        self.events.put_nowait({"type": "http.disconnect"})


def target(backend, path="/x", query="a=1&b=%2F"):
    return ProxyTarget(backend.origin, path, query, tls=False)


async def pass_on(client, where, idle=PATIENCE):
    async with asyncio.timeout(PATIENCE):
        return await ReverseProxy(idle).pass_on(client.request, where)


async def test_a_streamed_answer(backend):
    response = await pass_on(Client(headers=[("authorization", "Bearer x"), ("accept", "a/b")]), target(backend))
    assert isinstance(response, Stream)
    assert (response.status, response.content_type) == (207, "text/x")
    assert ("x-own", "1") in response.headers
    got = asyncio.Queue()
    running = asyncio.ensure_future(response.run(got.put))
    assert await asyncio.wait_for(got.get(), PATIENCE) == b"first "
    backend.release.set()
    assert await asyncio.wait_for(got.get(), PATIENCE) == b"second"
    await asyncio.wait_for(running, PATIENCE)
    await response.close()
    method, path, headers = backend.seen[0]
    assert (method, path, headers.get("Accept")) == ("GET", "/x?a=1&b=%2F", "a/b")
    assert "Authorization" not in headers


async def test_a_body_is_sent_as_it_comes(backend):
    client = Client("PATCH", [("content-length", "10")])
    client.send(b"01234")
    backend.release.set()
    answer = asyncio.ensure_future(pass_on(client, target(backend)))
    await asyncio.wait_for(backend.got_some.wait(), PATIENCE)
    assert bytes(backend.received) == b"01234", "before the rest is there"
    client.send(b"56789", more=False)
    response = await answer
    await response.close()
    assert bytes(backend.received) == b"0123456789"
    assert backend.seen[0][2]["Content-Length"] == "10"


async def test_a_body_without_a_length(backend):
    client = Client("POST", [("transfer-encoding", "chunked")])
    for number in range(50):
        client.send(b"x" * 1000, more=number < 49)
    backend.release.set()
    await (await pass_on(client, target(backend))).close()
    assert len(backend.received) == 50_000


async def test_half_a_body_is_never_a_whole_one(backend):
    client = Client("POST", [("transfer-encoding", "chunked")])
    client.send(b"half")
    answer = asyncio.ensure_future(pass_on(client, target(backend)))
    await asyncio.wait_for(backend.got_some.wait(), PATIENCE)
    client.leave()
    with pytest.raises((BadRequestError, UnavailableError)):
        await answer
    await asyncio.wait_for(backend.gone.wait(), PATIENCE)


async def test_a_client_that_leaves_before_the_answer(backend):
    client = Client()
    answer = asyncio.ensure_future(pass_on(client, target(backend, "/wait")))
    client.send(b"", more=False)
    client.leave()
    with pytest.raises(BadRequestError):
        await answer
    backend.release.set()


async def test_a_client_that_stops_in_its_body_is_cut_off(backend):
    client = Client("POST", [("content-length", "10")])
    client.send(b"01234")
    with pytest.raises(UnavailableError):
        await pass_on(client, target(backend), idle=0.2)


@pytest.mark.parametrize(("method", "path", "status"), [("HEAD", "/moved", 302), ("GET", "/empty", 204)])
async def test_answers_without_a_body(backend, method, path, status):
    response = await pass_on(Client(method), target(backend, path))
    assert isinstance(response, ApiResponse)
    assert (response.status, response.body) == (status, b"")


async def test_redirects_are_the_clients_to_follow(backend):
    """S51: and no cookie of one pod reaches another."""
    response = await pass_on(Client(), target(backend, "/moved"))
    assert response.status == 302
    assert ("location", "http://169.254.169.254/") in response.headers
    assert not [name for name, _ in response.headers if name == "set-cookie"]
    await response.close()
    assert len(backend.seen) == 1


async def test_nobody_there():
    with pytest.raises(UnavailableError, match="Connection refused"):
        await pass_on(Client(), ProxyTarget("http://127.0.0.1:1", "/", "", tls=False))


async def test_a_websocket(backend):
    from windlass.websocket import WebSocketPeer

    client = Client(subprotocols=["echo"])
    response = await pass_on(client, target(backend, "/ws"))
    assert isinstance(response, Upgraded)
    assert response.protocol == "echo"
    inbox, outbox = asyncio.Queue(), asyncio.Queue()
    running = asyncio.ensure_future(response.run(WebSocketPeer(client.scope, inbox.get, outbox.put)))
    inbox.put_nowait({"type": "websocket.receive", "bytes": b"binary"})
    assert (await asyncio.wait_for(outbox.get(), PATIENCE))["bytes"] == b"binary"
    inbox.put_nowait({"type": "websocket.receive", "text": "text"})
    assert (await asyncio.wait_for(outbox.get(), PATIENCE))["text"] == "text"
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(running, PATIENCE)
    await response.close()
    await asyncio.wait_for(backend.gone.wait(), PATIENCE)


async def test_a_backend_that_does_not_upgrade(backend):
    """S49: no tunnel without a 101."""
    with pytest.raises(BadRequestError, match="answered 204"):
        await pass_on(Client(subprotocols=["echo"]), target(backend, "/empty"))
