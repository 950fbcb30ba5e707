"""Between uvicorn and the socket: head and body of an answer leave together, and nothing stays behind."""

import asyncio
import logging

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from windlass.api.protocols import JOIN_BYTES, PeerCertificateProtocol

HEAD_END = b"\r\n\r\n"


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False

    def write(self, data):
        self.writes.append(bytes(data))

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        """Nothing comes anyway."""

    resume_reading = pause_reading


async def exchange(app, request):
    """Feed a request to a connection; return the writes of its answer and whether it was closed."""
    done = asyncio.Event()

    async def watched(scope, receive, send):
        try:
            await app(scope, receive, send)
        finally:
            asyncio.get_running_loop().call_soon(done.set)

    config = Config(watched, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off")
    config.load()
    wire = Wire()
    connection = PeerCertificateProtocol(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(wire)
    connection.data_received(request)
    async with asyncio.timeout(10):
        await done.wait()
        await asyncio.sleep(0)
    connection.connection_lost(None)
    if connection.timeout_keep_alive_task is not None:
        connection.timeout_keep_alive_task.cancel()
    return wire


def answering(*bodies, length=True, status=200):
    async def app(_scope, _receive, send):
        headers = [(b"content-length", str(sum(map(len, bodies))).encode())] if length else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for index, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": index < len(bodies) - 1})

    return app


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_small_answer_is_one_write():
    wire = await exchange(answering(b"hello"), GET)
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.writes[0].endswith(HEAD_END + b"hello")


async def test_a_large_body_is_not_copied_behind_its_head():
    body = b"x" * (JOIN_BYTES + 1)
    wire = await exchange(answering(body), GET)
    assert [len(write) for write in wire.writes[1:]] == [len(body)]
    assert wire.writes[0].endswith(HEAD_END)


async def test_the_head_of_a_stream_goes_out_with_its_empty_first_chunk():
    """A watch that has nothing to tell yet has begun all the same."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    wire = await exchange(app, GET)
    assert wire.writes[0].endswith(b"transfer-encoding: chunked" + HEAD_END)
    assert wire.writes[1:] == [b"5\r\nevent\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204)])
async def test_an_answer_without_a_body_goes_out(method, status):
    wire = await exchange(answering(b"", status=status), GET.replace(b"GET", method))
    assert b"".join(wire.writes).count(HEAD_END) == 1


async def test_a_closing_answer_is_sent_before_the_connection_ends():
    wire = await exchange(answering(b"bye"), b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert wire.closed
    assert b"connection: close" in b"".join(wire.writes).lower()


async def test_100_continue_is_not_held_back():
    async def app(_scope, receive, send):
        message = await receive()
        assert message["body"] == b"ab"
        await answering(b"done")(_scope, receive, send)

    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab"
    wire = await exchange(app, request)
    assert wire.writes[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.writes[1].endswith(HEAD_END + b"done")


async def test_an_application_that_fails_after_its_head_closes_the_connection(caplog):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("halfway")

    with caplog.at_level(logging.CRITICAL):
        wire = await exchange(app, GET)
    assert wire.closed
