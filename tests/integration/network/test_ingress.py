"""The real nginx, on loopback and high ports: what the generated configuration does with requests."""

import asyncio
import http.client
import importlib.util
import ssl
import threading
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from windlass.clock import SystemClock
from windlass.testing.ports import free_port
from windlass_network.ingress.nginx import Nginx
from windlass_network.ingress.nginx_config import Listen, render

pytestmark = pytest.mark.nginx
HERE = Path(__file__)
_spec = importlib.util.spec_from_file_location("ingress_objects", HERE.parents[2] / "unit/network/ingress/test_plan.py")
objects = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(objects)


class _Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(b"echo:" + self.rfile.read(4))
            self.close_connection = True
            return
        names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "Connection")
        body = "\n".join([self.server.name, self.path, *(str(self.headers.get(name)) for name in names)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def backends():
    started = {}
    for name in ("web", "next"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Backend)
        server.name = name
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started[name] = server
    yield {name: f"127.0.0.1:{server.server_address[1]}" for name, server in started.items()}
    for server in started.values():
        server.shutdown()
        server.server_close()


class _Running:
    def __init__(self, nginx, listen, backends):
        self.nginx, self.listen, self._backends = nginx, listen, backends

    async def apply(self, *ingresses, **options):
        plan = objects.plan(*ingresses, **options)
        upstreams = {name: [self._backends[name.split(".")[1]]] for name, found in plan.upstreams.items() if found}
        plan = replace(plan, upstreams=upstreams)
        self.nginx.write_certificates(plan.certificates)
        assert await self.nginx.test(render(plan, self.listen)) == ""
        self.nginx.use_tested()
        return plan

    async def until(self, probe):
        async with asyncio.timeout(60):
            while True:
                try:
                    if await asyncio.to_thread(probe):
                        return
                except OSError:
                    pass
                await asyncio.sleep(0.02)

    def get(self, path="/", host="a.example", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.listen.http_port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode().splitlines(), answer.headers
        finally:
            connection.close()


@pytest.fixture
async def nginx(tmp_path, backends):
    listen = Listen("127.0.0.1", free_port(), free_port())
    server = Nginx(tmp_path / "nginx", SystemClock())
    running = asyncio.ensure_future(server.run())
    yield _Running(server, listen, backends)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert server._process is None or server._process.returncode is not None


async def test_hosts_and_paths_choose_the_backend(nginx):
    path, ingress = objects.path, objects.ingress
    await nginx.apply(
        ingress(
            "one", path("/"), path("/foo", name="next"), path("/foo/bar", "Exact"), path("/exact", "Exact", "next")
        ),
        ingress("two", path("/only", name="next"), host="*.b.example"),
    )
    await nginx.until(lambda: nginx.get()[0] == 200)
    chosen = {
        "/": "web", "/foo": "next", "/foo/": "next", "/foo/x": "next", "/foobar": "web", "/foo/bar": "web",
        "/foo/bar/": "next", "/exact": "next", "/exact/": "web", "/exacts": "web", "/foo?q=/exact": "next",
    }  # fmt: skip
    assert {asked: nginx.get(asked)[1][0] for asked in chosen} == chosen
    assert nginx.get("/only", "x.b.example")[1][0] == "next"
    assert nginx.get("/only/deep", "X.B.example:80")[1][0] == "next"
    for asked, host in (("/", "x.b.example"), ("/only", "b.example"), ("/only", "y.x.b.example"), ("/", "c.example")):
        assert nginx.get(asked, host)[0] == 404


async def test_the_request_arrives_as_it_was_sent(nginx):
    await nginx.apply(objects.ingress())
    await nginx.until(lambda: nginx.get()[0] == 200)
    _, said, headers = nginx.get("/a%2Fb//c?x=1&y=%20", **{"X-Forwarded-For": "1.2.3.4"})
    assert said == ["web", "/a%2Fb//c?x=1&y=%20", "a.example", "127.0.0.1", "http", "None"]
    assert headers["Server"] == "nginx"


async def test_upgrades_pass_through(nginx):
    await nginx.apply(objects.ingress())
    await nginx.until(lambda: nginx.get()[0] == 200)
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.listen.http_port)
    writer.write(b"GET /ws HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    async with asyncio.timeout(30):
        assert b"101" in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ping")
        assert await reader.readexactly(9) == b"echo:ping"
    writer.close()


async def test_tls_by_server_name(nginx):
    """Each host shows its own certificate; one without any is not answered; plain requests are sent to TLS."""
    secrets = [objects.make_secret("a", "a.example"), objects.make_secret("b", "b.example")]
    await nginx.apply(
        objects.ingress("a", tls=[{"hosts": ["a.example"], "secretName": "a"}]),
        objects.ingress("b", host="b.example", tls=[{"hosts": ["b.example"], "secretName": "b"}]),
        secrets=secrets,
    )
    await nginx.until(lambda: nginx.get()[0] == 308)
    assert nginx.get("/x?y=1")[2]["Location"] == f"https://a.example:{nginx.listen.https_port}/x?y=1"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def shown(name):
        with context.wrap_socket(_connect(nginx.listen.https_port), server_hostname=name) as tls:
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            return tls.getpeercert(binary_form=True), tls.recv(65536)

    for index, name in enumerate(("a.example", "b.example")):
        certificate, answer = await asyncio.to_thread(shown, name)
        pem = ssl.DER_cert_to_PEM_cert(certificate)
        assert pem.encode().strip() in objects.read_certificate(secrets[index]).chain
        assert b" 200 " in answer
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(shown, "c.example")


def _connect(port):
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=30)


async def test_a_canary_gets_its_share(nginx):
    canary = objects.ingress("n", objects.path(name="next"), annotations={"canary": "true", "canary-weight": "50"})
    await nginx.apply(objects.ingress(), canary)
    await nginx.until(lambda: nginx.get()[0] == 200)
    found = await asyncio.to_thread(lambda: Counter(nginx.get()[1][0] for _ in range(200)))
    assert min(found["web"], found["next"]) > 40


async def test_a_reload_loses_no_request(nginx):
    """Requests without a pause while the configuration changes back and forth: every one is answered."""
    web, other = objects.ingress(), objects.ingress("main", objects.path(name="next"))
    await nginx.apply(web)
    await nginx.until(lambda: nginx.get()[0] == 200)
    ending, codes = threading.Event(), Counter()

    def load():
        while not ending.is_set():
            status, said, _ = nginx.get()
            codes[status, said[0]] += 1

    loading = asyncio.ensure_future(asyncio.to_thread(load))
    try:
        for wanted in ("next", "web", "next"):
            await nginx.apply(other if wanted == "next" else web)
            await nginx.until(lambda wanted=wanted: nginx.get()[1][0] == wanted)
    finally:
        ending.set()
        await loading
    assert {status for status, _ in codes} == {200}
    assert {name for _, name in codes} == {"web", "next"}


async def test_a_refused_configuration_changes_nothing(nginx):
    await nginx.apply(objects.ingress())
    await nginx.until(lambda: nginx.get()[0] == 200)
    assert "unknown directive" in await nginx.nginx.test("daemon off; nonsense;")
    assert nginx.get()[0] == 200
    assert "daemon off" in (nginx.nginx._prefix / "nginx.conf").read_text()


async def test_a_dead_nginx_comes_again(nginx):
    await nginx.apply(objects.ingress())
    await nginx.until(lambda: nginx.get()[0] == 200)
    first = nginx.nginx._process.pid
    nginx.nginx._process.terminate()
    await nginx.until(lambda: nginx.nginx._process.pid != first and nginx.get()[0] == 200)


def test_keys_are_nobody_elses(tmp_path):
    server = Nginx(tmp_path / "nginx", SystemClock())
    certificate = objects.read_certificate(objects.make_secret())
    server.write_certificates({"shop/tls": certificate})
    files = list((tmp_path / "nginx/certificates").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    server.drop_certificates({})
    assert list((tmp_path / "nginx/certificates").iterdir()) == []
