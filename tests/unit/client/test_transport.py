import asyncio
import base64
import json

import pytest
import yaml
from aiohttp import web

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client
from windlass.client.kubeconfig import load_kubeconfig
from windlass.client.transport import HttpRequest, HttpTransport, InProcessTransport
from windlass.errors import ConfigError, UnavailableError

PODS = Resource("", "v1", "pods")


async def asgi_app(scope, receive, send):
    """Echoes the request; `/stream` sends lines until the client goes; `/broken` raises."""
    if scope["path"] == "/broken":
        raise RuntimeError("broken")
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/stream":
        for number in range(1000):
            await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})
        return
    message = await receive()
    echo = {"path": scope["path"], "query": scope["query_string"].decode(), "body": message["body"].decode(),
            "cert": scope["extensions"].get("windlass.peercert")}
    await send({"type": "http.response.body", "body": json.dumps(echo).encode()})


async def test_in_process_request_carries_query_body_and_user():
    transport = InProcessTransport(asgi_app, user="admin", groups=["system:masters"])
    response = await transport.request(HttpRequest("POST", "/x", [("labelSelector", "a=b,c in (d)")], {}, b"{}"))
    echo = json.loads(response.body)
    assert (response.status, echo["path"], echo["body"]) == (200, "/x", "{}")
    assert "labelSelector=a%3Db" in echo["query"]
    assert echo["cert"]["subject"] == [[["organizationName", "system:masters"]], [["commonName", "admin"]]]


async def test_leaving_an_in_process_stream_ends_the_application():
    transport = InProcessTransport(asgi_app)
    async with transport.stream(HttpRequest("GET", "/stream")) as stream:
        assert await anext(stream.chunks) == b"0\n"
    assert len(asyncio.all_tasks()) == 1


async def test_an_application_that_breaks_is_unavailable():
    with pytest.raises(UnavailableError, match="broken"):
        await InProcessTransport(asgi_app).request(HttpRequest("GET", "/broken"))


@pytest.fixture
async def server():
    async def get(request):
        return web.json_response({"token": request.headers.get("Authorization", ""), "q": dict(request.query)})

    async def watch(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n{"type":"BOOK')
        await response.write(b'MARK","object":{"metadata":{}}}\n')
        return response

    app = web.Application()
    app.router.add_get("/api/v1/pods", watch)
    app.router.add_get("/get", get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_http_sends_the_token_and_streams_lines(server):
    transport = HttpTransport(server, token="t0")
    client = Client(transport)
    try:
        answer = await client.raw("GET", "/get", params={"a": "x y"})
        assert json.loads(answer.body) == {"token": "Bearer t0", "q": {"a": "x y"}}
        events = [event.type async for event in client.watch(PODS)]
        assert events == ["ADDED", "BOOKMARK"]
    finally:
        await client.close()


async def test_a_refused_connection_is_unavailable():
    transport = HttpTransport("http://127.0.0.1:1")
    with pytest.raises(UnavailableError):
        await transport.request(HttpRequest("GET", "/"))
    await transport.close()


def kubeconfig(path, cluster, user):
    path.write_text(yaml.safe_dump({
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }))
    return path


def test_kubeconfig_with_a_token_file(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    transport = load_kubeconfig(kubeconfig(tmp_path / "k", {"server": "http://x:1/"}, {"tokenFile": "token"}))
    assert transport.server == "http://x:1"
    assert transport._headers == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize(
    ("cluster", "user", "what"),
    [
        ({}, {}, "no server"),
        ({"server": "https://x", "certificate-authority-data": "%%"}, {}, "not base64"),
        ({"server": "https://x", "certificate-authority-data": base64.b64encode(b"no").decode()}, {}, "cannot be used"),
        ({"server": "https://x", "certificate-authority": "missing"}, {}, "No such file"),
    ],
)
def test_a_broken_kubeconfig_says_what_is_wrong(tmp_path, cluster, user, what):
    with pytest.raises(ConfigError, match=what):
        load_kubeconfig(kubeconfig(tmp_path / "k", cluster, user))


def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        load_kubeconfig(tmp_path / "nowhere")
