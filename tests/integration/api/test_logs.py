"""Container output through the API server, over HTTP and over a WebSocket, from an agent that must prove who it is."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest

OUTPUT = b"first line\n" + bytes(range(256)) * 300 + "\u00e9\u202e no newline at the end".encode()
PODS = "/api/v1/namespaces/default/pods"
ASKED: list[str] = []


class Agent(BaseHTTPRequestHandler):
    """The agent's log route: the same bytes for every container but `gone`."""

    def do_GET(self):
        ASKED.append(self.path)
        known = "/gone" not in self.path
        body = OUTPUT if known else b"no such container"
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


def agent_context(api, certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki = api.data_dir.pki
    context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def serve_agent(api, certificate: str) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    server.socket = agent_context(api, certificate).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def register(api, node: str, port: int) -> None:
    """Make a Node whose agent listens there, and a pod on it."""
    api.request("POST", "/api/v1/nodes", {"metadata": {"name": node}}).expect(201)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    api.patch(f"/api/v1/nodes/{node}/status", {"status": status}).expect(200)
    containers = [{"name": name, "image": "busybox:local"} for name in ("main", "gone")]
    pod = {"metadata": {"name": f"on-{node}"}, "spec": {"nodeName": node, "containers": containers}}
    api.request("POST", PODS, pod).expect(201)


@pytest.fixture(scope="module")
def agent(api):
    server = serve_agent(api, "node-one")
    register(api, "one", server.server_address[1])
    yield server
    server.shutdown()
    server.server_close()


async def test_output_is_passed_on_byte_by_byte(api, agent):
    """C271: what the agent has is what the client gets."""
    url = f"https://127.0.0.1:{api.port}{PODS}/on-one/log?container=main&tailLines=5"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=api.context("admin")) as answer:
        assert await answer.read() == OUTPUT
    assert ASKED[-1].startswith("/containerLogs/default/on-one/main")
    assert "tailLines=5" in ASKED[-1]


@pytest.mark.parametrize("protocols", [("binary.k8s.io",), ()])
async def test_output_over_a_websocket(api, agent, protocols):
    """C271: the container's exact output in binary frames, then a clean close."""
    url = f"wss://127.0.0.1:{api.port}{PODS}/on-one/log?container=main"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, ssl=api.context("admin"), protocols=protocols) as socket,
    ):
        transport = socket._writer.transport
        frames = [message async for message in socket]
        transport.abort()  # aiohttp would leave TLS's own farewell to a loop that ends with the test
        assert socket.protocol == (protocols[0] if protocols else None)
        assert socket.close_code == 1000
    assert {frame.type for frame in frames} == {aiohttp.WSMsgType.BINARY}
    assert b"".join(frame.data for frame in frames) == OUTPUT


@pytest.mark.parametrize(("user", "code"), [("", 401), ("node-one", 403)])
def test_a_websocket_is_refused_to_those_who_may_not(api, agent, user, code):
    """S46, S50: the handshake is refused; a node's certificate gets no more of foreign pods this way than by HTTP."""
    containers = [{"name": "c", "image": "i"}]
    foreign = {"metadata": {"name": "foreign"}, "spec": {"nodeName": "elsewhere", "containers": containers}}
    api.request("POST", PODS, foreign).expect(201, 409)
    handshake = {
        "Host": "api",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    refused = api.raw(api.head("GET", f"{PODS}/foreign/log", handshake), user=user).expect(code)
    assert refused["status"] == "Failure"
    assert len(ASKED) == 0 or "/foreign/" not in ASKED[-1]


def test_what_the_agent_does_not_have(api, agent):
    """C271: the agent's 404 is the client's; a container that the pod does not have is never asked for."""
    api.request("GET", f"{PODS}/on-one/log?container=gone").expect(404)
    asked = len(ASKED)
    api.request("GET", f"{PODS}/on-one/log?container=other").expect(400)
    api.request("GET", f"{PODS}/on-one/log").expect(400)
    assert len(ASKED) == asked


def test_an_agent_that_is_somebody_else(api, agent):
    """S46: a server with a certificate that is not for its address is not believed; one that is away is 503."""
    impostor = serve_agent(api, "manager")
    try:
        register(api, "two", impostor.server_address[1])
        asked = len(ASKED)
        said = api.request("GET", f"{PODS}/on-two/log?container=main").expect(503)
        assert "does not prove to be this node's agent" in said["message"]
        assert len(ASKED) == asked
    finally:
        impostor.shutdown()
        impostor.server_close()
    said = api.request("GET", f"{PODS}/on-two/log?container=main").expect(503)
    assert said["reason"] == "ServiceUnavailable"
    assert said["message"].startswith("the host agent of node two at 127.0.0.1:")
    assert "cannot be reached: Connection refused; " in said["message"]
