"""Calls without threads against a server on a socket."""

import asyncio

import pytest
from aiohttp import web

from windlass.errors import RuntimeDriverError
from windlass_runtime.docker.engine import DockerEngine, NotFound


@pytest.fixture
async def engine(tmp_path, monkeypatch):
    """An engine whose server answers by a table; its version is not asked for."""
    calls = []
    released = asyncio.Event()

    async def handle(request):
        calls.append((request.method, request.path, dict(request.query), await request.text()))
        if request.path.endswith("/missing"):
            return web.json_response({"message": "No such thing"}, status=404)
        if request.path.endswith("/empty"):
            return web.Response(status=204)
        if request.path.endswith("/hangs"):
            await released.wait()
        if request.path.endswith("/drops") and len(calls) == 1:
            request.transport.abort()
        return web.json_response({"Id": "x"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    path = tmp_path / "docker.sock"
    await web.UnixSite(runner, str(path)).start()
    engine = DockerEngine(f"unix://{path}", call_seconds=30)
    engine.calls = calls

    async def url(path):
        return f"http://docker/v1.41{path}"

    monkeypatch.setattr(engine, "url", url)
    yield engine
    released.set()
    await engine.close()
    await runner.cleanup()


async def test_answers(engine):
    assert await engine.request("POST", "/a", params={"p": "1"}, body={"b": 2}) == {"Id": "x"}
    assert await engine.request("DELETE", "/empty") is None
    assert engine.calls[0] == ("POST", "/v1.41/a", {"p": "1"}, '{"b": 2}')


async def test_refusals_and_silence(engine):
    with pytest.raises(NotFound, match="No such thing"):
        await engine.request("GET", "/missing")
    with pytest.raises(RuntimeDriverError, match=r"did not answer within 0\.05 s"):
        await engine.request("GET", "/hangs", seconds=0.05)


async def test_a_connection_that_broke_is_tried_once_more(engine):
    assert await engine.request("POST", "/drops") == {"Id": "x"}
    assert len(engine.calls) == 2


async def test_a_daemon_that_is_away(engine, tmp_path):
    engine.endpoint = f"unix://{tmp_path}/nothing"
    with pytest.raises(RuntimeDriverError, match="cannot be reached") as caught:
        await engine.request("GET", "/a")
    assert caught.value.reason == "RuntimeUnavailable"
