"""HTTP, TCP and gRPC probes against servers that behave badly."""

import asyncio
import ssl
import struct
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest

from windlass.auth.pki import CertificateAuthority, CertificateRequest
from windlass_hostagent.pods.probes.dial import probe_tcp
from windlass_hostagent.pods.probes.grpc import decode_status, encode_request, outcome_of, probe_grpc
from windlass_hostagent.pods.probes.http import http_target, probe_http, request_bytes
from windlass_hostagent.pods.probes.results import Result
from windlass_hostagent.pods.probes.spec import ProbeError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def finished(handlers):
    """End what still serves a connection, so that the loop closes with nothing open."""
    for task in handlers:
        task.cancel()
    await asyncio.gather(*handlers, return_exceptions=True)


@asynccontextmanager
async def server(answer, *, tls=None):
    """A server that hands each connection's request to `answer(request, writer)`; yields port and requests seen."""
    requests, handlers = [], []

    async def serve(reader, writer):
        handlers.append(asyncio.current_task())
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            requests.append(request.decode())
            result = answer(request, writer)
            if asyncio.iscoroutine(result):
                await result
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            requests.append("broken")
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield listening.sockets[0].getsockname()[1], requests
        await finished(handlers)


def target(port, ip="127.0.0.1", container=None, **action):
    return http_target({"port": port, "path": "/healthz", **action}, container or {}, ip)


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "success"), (204, "success"), (400, "failure"), (404, "failure"), (503, "failure")],
)
async def test_the_status_decides(status, result):
    async with server(lambda _, w: w.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)) as (port, _):
        outcome = await probe_http(target(port), 5)
    assert outcome.result == result
    assert outcome.message == ("" if result == "success" else f"HTTP probe failed with statuscode: {status}")


async def test_headers_port_names_and_the_user_agent():
    container = {"ports": [{"name": "web", "containerPort": 0}]}
    async with server(lambda _, w: w.write(OK)) as (port, requests):
        container["ports"][0]["containerPort"] = port
        headers = [{"name": "Host", "value": "app.example"}, {"name": "X-A", "value": "1"}]
        outcome = await probe_http(target("web", container=container, httpHeaders=headers, path="a b?c=d"), 5)
    assert outcome.result == "success"
    lines = requests[0].splitlines()
    assert lines[0] == "GET /a%20b?c=d HTTP/1.1"
    assert {"Host: app.example", "X-A: 1", "User-Agent: kube-probe/1.32", "Connection: close"} <= set(lines)
    assert sum(line.lower().startswith("host:") for line in lines) == 1


def test_no_header_becomes_two():
    evil = target(80, httpHeaders=[{"name": "X", "value": "a\r\nHost: other"}])
    with pytest.raises(ProbeError):
        request_bytes(evil)


def test_the_host_field_wins_over_the_pods_address():
    assert target(80, host="198.51.100.7").host == "198.51.100.7"
    assert target(80, ip="2001:db8::1").url == "http://[2001:db8::1]:80/healthz"


async def test_a_certificate_is_not_checked(tmp_path):
    certificate, key = CertificateAuthority(tmp_path).issue("web", CertificateRequest("web", hosts=("web.example",)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with server(lambda _, w: w.write(OK), tls=context) as (port, _):
        assert (await probe_http(target(port, scheme="HTTPS"), 5)).result == "success"


async def test_nobody_listens():
    async with server(lambda _, w: None) as (port, _):
        pass
    outcome = await probe_http(target(port), 5)
    assert outcome.result == "failure"
    url = f"http://127.0.0.1:{port}/healthz"
    assert outcome.message == f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'
    outcome = await probe_tcp("127.0.0.1", port, 5)
    assert outcome.message == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


async def test_a_redirect_on_the_same_host_is_followed():
    def answer(request, writer):
        moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        writer.write(moved if b"GET /healthz" in request else OK)

    async with server(answer) as (port, requests):
        assert (await probe_http(target(port), 5)).result == "success"
    assert [r.split()[1] for r in requests] == ["/healthz", "/there"]


async def test_a_redirect_to_another_host_is_not_followed():
    """N73: the other server never hears of it."""
    async with server(lambda _, w: w.write(OK)) as (other, heard):
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{other}/\r\nContent-Length: 4\r\n\r\ngone".encode()
        async with server(lambda _, w: w.write(moved)) as (port, _):
            outcome = await probe_http(target(port), 5)
    assert outcome.result == Result.WARNING
    assert outcome.message == "Probe terminated redirects, Response body: gone"
    assert heard == []


async def test_redirects_in_a_circle_end():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /healthz\r\nContent-Length: 0\r\n\r\n"
    async with server(lambda _, w: w.write(moved)) as (port, requests):
        outcome = await probe_http(target(port), 30)
    assert outcome.message.endswith("stopped after 10 redirects")
    assert len(requests) == 10


async def endless(writer, head):
    writer.write(head)
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@pytest.mark.parametrize(
    ("head", "result"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "success"),
        (b"HTTP/1.1 500 no\r\n\r\n", "failure"),
        (b"HTTP/1.1 200 OK\r\nX: ", "failure"),
        (b"", "failure"),
    ],
)
async def test_an_endless_answer_is_cut(head, result):
    """N73: bounded bytes, whatever the container sends."""
    async with server(lambda _, w: endless(w, head)) as (port, requests):
        assert (await probe_http(target(port), 20)).result == result
        while "broken" not in requests:
            await asyncio.sleep(0)


async def test_a_server_that_says_nothing_is_a_failure():
    async with server(lambda _, w: asyncio.sleep(30)) as (port, _):
        outcome = await probe_http(target(port), 0.05)
    assert outcome.message.endswith("context deadline exceeded")


async def test_a_server_that_hangs_up_is_a_failure():
    async with server(lambda _, w: None) as (port, _):
        assert (await probe_http(target(port), 5)).message.endswith(": EOF")


async def test_tcp_connects():
    async with server(lambda _, w: None) as (port, _):
        assert (await probe_tcp("127.0.0.1", port, 5)).result == "success"


class Health:
    """A gRPC health service of a few lines."""

    def __init__(self, status=1, grpc_status="0"):
        self.status, self.grpc_status = status, grpc_status
        self.services = []
        self.handlers = []

    async def serve(self, reader, writer):
        self.handlers.append(asyncio.current_task())
        try:
            await self.talk(reader, writer)
        finally:
            writer.close()

    async def talk(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    self.services.append(event.data)
                elif isinstance(event, h2.events.StreamEnded):
                    self.answer(connection, event.stream_id)
            writer.write(connection.data_to_send())
            await writer.drain()

    def answer(self, connection, stream):
        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        if self.grpc_status == "0":
            message = bytes([8, self.status])
            connection.send_data(stream, b"\0" + struct.pack(">I", len(message)) + message)
        connection.send_headers(stream, [("grpc-status", self.grpc_status)], end_stream=True)


@asynccontextmanager
async def grpc_server(**options):
    health = Health(**options)
    listening = await asyncio.start_server(health.serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], health
        await finished(health.handlers)


async def test_grpc_serving():
    """C274."""
    async with grpc_server() as (port, health):
        assert (await probe_grpc("127.0.0.1", port, "db", 5)).result == "success"
    assert health.services == [encode_request("db")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"status": 2}, 'service unhealthy (responded with "NOT_SERVING")'),
        ({"grpc_status": "12"}, "does not implement the grpc health protocol"),
        ({"grpc_status": "5"}, "code = 5"),
    ],
)
async def test_grpc_unhealthy(options, words):
    async with grpc_server(**options) as (port, _):
        outcome = await probe_grpc("127.0.0.1", port, "", 5)
    assert outcome.result == "failure"
    assert words in outcome.message


async def test_grpc_to_a_wrong_port():
    """C278."""
    async with server(lambda _, w: None) as (port, _):
        pass
    outcome = await probe_grpc("127.0.0.1", port, "", 5)
    assert outcome.message.startswith(f'timeout: failed to connect service "127.0.0.1:{port}" within 5s')


async def test_grpc_to_something_else():
    async with server(lambda _, w: w.write(OK)) as (port, _):
        assert (await probe_grpc("127.0.0.1", port, "", 5)).result == "failure"


@pytest.mark.parametrize("body", [b"", b"\1\0\0\0\0", b"\0\0\0\0\x09x", b"\0\0\0\0\2\x10\1", b"\0\0\0\0\1\x08"])
def test_a_malformed_grpc_answer_is_no_crash(body):
    with pytest.raises(ProbeError):
        decode_status(body)


def test_an_http_error_is_no_grpc_answer():
    assert outcome_of({":status": "502"}, b"").result == "failure"
    assert decode_status(b"\0\0\0\0\0") == 0


def test_a_long_service_name_has_a_long_length():
    assert encode_request("x" * 300)[5:8] == b"\x0a\xac\x02"
