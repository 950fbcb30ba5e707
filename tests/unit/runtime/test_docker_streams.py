"""Hijacked streams and commands against a server that answers as Docker does."""

import asyncio
import json
import struct

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ExecTimeoutError
from windlass_runtime.docker.engine import DockerApiError, NotFound, raise_for
from windlass_runtime.docker.hijack import open_stream, request_head, status_of
from windlass_runtime.docker.processes import Processes


def frame(kind, data):
    return struct.pack(">BxxxI", kind, len(data)) + data


class Engine:
    """The engine's two ways: requests answered from a table, and a socket that a script serves."""

    def __init__(self, endpoint, answers):
        self.endpoint = endpoint
        self.answers = answers
        self.asked = []

    async def url(self, path):
        return f"http://docker/v1.41{path}"

    async def request(self, method, path, *, params=None, body=None, seconds=0.0):
        self.asked.append((method, path, params, body))
        answer = self.answers[path]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def serve(tmp_path):
    servers = []

    async def start(script, answers=None):
        async def handle(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            await script(head, await reader.readexactly(length), reader, writer)
            writer.close()

        path = str(tmp_path / "docker.sock")
        servers.append(await asyncio.start_unix_server(handle, path))
        created = {"/containers/c/exec": {"Id": "e"}, "/exec/e/json": {"Running": False, "ExitCode": 3}}
        return Engine(f"unix://{path}", {**created, **(answers or {})})

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def test_heads():
    head = request_head("/a", "h", b"{}")
    assert head.startswith(b"POST /a HTTP/1.1\r\nHost: h\r\n")
    assert head.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert status_of(UPGRADED) == 101
    with pytest.raises(ValueError, match="not HTTP"):
        status_of(b"SSH-2.0 x y\r\n")


def test_refusals_are_the_sdks_errors():
    raise_for(200, "")
    with pytest.raises(NotFound) as caught:
        raise_for(404, '{"message": "No such container"}')
    assert (caught.value.explanation, caught.value.status_code) == ("No such container", 404)
    with pytest.raises(DockerApiError) as caught:
        raise_for(409, "plain words")
    assert caught.value.status_code == 409


async def test_exec_sync_joins_and_bounds(serve):
    async def script(head, body, reader, writer):
        assert b"POST /v1.41/exec/e/start HTTP/1.1" in head
        assert json.loads(body) == {"Detach": False, "Tty": False}
        whole = frame(1, b"one ") + frame(2, b"two ") + frame(1, b"three")
        writer.write(UPGRADED + whole[:10])
        await writer.drain()
        writer.write(whole[10:])

    engine = await serve(script, {"/exec/e/json": [{"Running": True}, {"Running": False, "ExitCode": 3}]})
    done = await Processes(engine).exec_sync("c", ["x"], timeout_seconds=30, max_output_bytes=10)
    assert (done.exit_code, done.output) == (3, b"one two th")


async def test_a_command_without_end_times_out(serve):
    async def script(head, body, reader, writer):
        writer.write(UPGRADED)
        await reader.read()

    engine = await serve(script)
    with pytest.raises(ExecTimeoutError, match=r"timed out after 0\.05 s"):
        await Processes(engine).exec_sync("c", ["x"], timeout_seconds=0.05, max_output_bytes=10)


@pytest.mark.parametrize(("answer", "reason"), [(404, "NotFound"), (409, "ContainerNotRunning"), (500, "RuntimeError")])
async def test_refused_commands(serve, answer, reason):
    def problem():
        try:
            raise_for(answer, "why")
        except DockerApiError as error:
            return error

    async def script(head, body, reader, writer):
        raise AssertionError("nothing is started")

    engine = await serve(script, {"/containers/c/exec": problem()})
    with pytest.raises(RuntimeDriverError, match="why") as caught:
        await Processes(engine).exec_sync("c", ["x"], timeout_seconds=1, max_output_bytes=10)
    assert caught.value.reason == reason


async def test_streams_carry_both_ways(serve):
    async def script(head, body, reader, writer):
        writer.write(UPGRADED)
        text = await reader.read()
        writer.write(frame(1, text) + frame(2, b"end"))

    engine = await serve(script)
    stream = await Processes(engine).exec("c", ["cat"], stdin=True, tty=False)
    await stream.write(b"abc")
    await stream.close_stdin()
    assert [part async for part in stream.output()] == [("stdout", b"abc"), ("stderr", b"end")]
    assert await stream.wait() == 3
    await stream.resize(1, 2)
    await stream.close()
    await stream.close()
    assert not [path for _, path, _, _ in engine.asked if "resize" in path]


async def test_terminals_are_raw_and_resized_once_they_are_there(serve):
    async def script(head, body, reader, writer):
        writer.write(UPGRADED + b"raw\x01\x02")

    early = DockerApiError("too early", None, "too early")
    engine = await serve(script, {"/exec/e/resize": [early, None]})
    stream = await Processes(engine).exec("c", ["sh"], stdin=True, tty=True)
    await stream.resize(80, 24)
    assert [asked[2] for asked in engine.asked if "resize" in asked[1]] == [{"w": "80", "h": "24"}] * 2
    assert b"".join([data async for _, data in stream.output()]) == b"raw\x01\x02"
    await stream.close()


async def test_attaching_sends_no_body(serve):
    """A body that Docker does not read would be the process's first input."""

    async def script(head, body, reader, writer):
        assert body == b""
        assert b"/containers/c/attach?stream=1&stdout=1&stderr=1&stdin=0" in head
        writer.write(UPGRADED)

    async def code():
        return 7

    engine = await serve(script)
    stream = await Processes(engine).attach("c", stdin=False, tty=False, exit_code=code)
    assert [part async for part in stream.output()] == []
    assert await stream.wait() == 7
    await stream.close()


async def test_a_refused_upgrade_and_a_server_that_is_none(serve):
    async def script(head, body, reader, writer):
        writer.write(b'HTTP/1.1 409 Conflict\r\n\r\n{"message": "is paused"}')

    engine = await serve(script)
    with pytest.raises(DockerApiError, match="is paused"):
        await open_stream(engine, "/exec/e/start", {})
    engine.endpoint = "unix:///no/such/socket"
    with pytest.raises(RuntimeDriverError, match="cannot be opened"):
        await open_stream(engine, "/exec/e/start", {})
