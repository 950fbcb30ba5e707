"""exec, attach, portforward and ephemeral containers at the API: who may, what is refused, what reaches the agent."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import aiohttp
import pytest

from windlass.api.guard import Guard
from windlass.api.pipeline import Pipeline
from windlass.apimachinery.channels import V5
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.authn import Decision

PODS = "/api/v1/namespaces/default/pods"
PATIENCE = 20


class AgentSocket:
    """The agent's end, as aiohttp shows it."""

    def __init__(self, protocol):
        self.protocol, self.close_code, self.sent, self.closed = protocol, None, [], 0
        self.messages = asyncio.Queue()

    async def receive(self):
        return await self.messages.get()

    async def send_bytes(self, data):
        self.sent.append(data)

    send_str = send_bytes

    async def close(self):
        self.closed += 1

    def say(self, data):
        self.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, data, None))

    def end(self, code=1000):
        self.close_code = code
        self.messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSE, code, "done"))


class Agents:
    refuse = None

    def __init__(self):
        self.asked, self.left, self.opened = [], 0, asyncio.Queue()

    @asynccontextmanager
    async def websocket(self, node, path, query, protocols):
        if self.refuse:
            raise self.refuse
        self.asked.append((node["metadata"]["name"], path, parse_qsl(query), protocols))
        socket = AgentSocket(protocols[0])
        self.opened.put_nowait(socket)
        try:
            yield socket
        finally:
            self.left += 1

    @asynccontextmanager
    async def get(self, _node, _path, _params):
        yield None


@pytest.fixture
def stream_backend():
    return Agents()


@pytest.fixture
def agents(stream_backend):
    return stream_backend


class Socket:
    """The client's WebSocket."""

    def __init__(self, api, target, subprotocols=(V5,), **who):
        self.inbox, self.outbox = asyncio.Queue(), asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})
        scope = api.scope("GET", target, **who)
        del scope["method"]
        scope |= {"type": "websocket", "subprotocols": list(subprotocols)}
        scope["extensions"] = {**scope["extensions"], "websocket.http.response": {}}
        self.task = asyncio.ensure_future(api.app(scope, self.inbox.get, self.outbox.put))

    async def hear(self):
        async with asyncio.timeout(PATIENCE):
            return await self.outbox.get()

    async def ended(self):
        async with asyncio.timeout(PATIENCE):
            await self.task


async def ready(api, make, **spec):
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    return await api.ok("POST", PODS, make.pod(nodeName="n1", **spec))


async def test_messages_pass_both_ways(api, make, agents):
    pod = await ready(api, make)
    socket = Socket(api, f"{PODS}/web/exec?command=ls&command=-l%20x&stdin=true&stdout=1&tty=false")
    assert await socket.hear() == {"type": "websocket.accept", "subprotocol": V5}
    agent = await agents.opened.get()
    query = [("command", "ls"), ("command", "-l x"), ("stdin", "true"), ("stdout", "true"), ("uid", pod["metadata"]["uid"])]
    assert agents.asked == [("n1", ("exec", "default", "web", "main"), query, (V5,))]
    socket.inbox.put_nowait({"type": "websocket.receive", "bytes": b"\0in"})
    agent.say(b"\x01out")
    assert (await socket.hear())["bytes"] == b"\x01out"
    while not agent.sent:
        await asyncio.sleep(0)
    agent.end()
    assert (await socket.hear())["code"] == 1000
    await socket.ended()
    assert (agent.sent, agents.left) == ([b"\0in"], 1)


@pytest.mark.parametrize("route", ["attach?stdout=1", "portforward?ports=80"])
async def test_the_client_leaves(api, make, agents, route):
    await ready(api, make)
    socket = Socket(api, f"{PODS}/web/{route}", ("v4.channel.k8s.io",))
    assert (await socket.hear())["type"] == "websocket.accept"
    agent = await agents.opened.get()
    socket.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await socket.ended()
    assert (agent.closed, agents.left) == (1, 1)


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("web/exec?stdout=1", 400, "at least one command"), ("web/exec?command=x", 400, "at least 1 of stdin"),
        ("none/exec?command=x&stdout=1", 404, "not found"), ("web/attach?stdout=1&container=other", 400, "is not valid"),
        ("web/exec?command=x&stdout=maybe", 400, "true or false"),
    ],
)
async def test_refusals_are_statuses(api, make, agents, target, code, words):
    await ready(api, make)
    socket = Socket(api, f"{PODS}/{target}")
    start, body = await socket.hear(), await socket.hear()
    assert start["status"] == code, body
    assert words in body["body"].decode()
    assert (await api.call("POST", f"{PODS}/{target}")).status == code
    await socket.ended()


async def test_a_pod_without_a_node(api, make, agents):
    await api.ok("POST", PODS, make.pod())
    assert "does not have a host assigned" in (await api.call("POST", f"{PODS}/web/portforward")).json["message"]


async def test_the_agents_refusal_is_told_on_the_error_channel(api, make, agents):
    """kubectl would take a refused handshake for a server without WebSockets."""
    await ready(api, make)
    agents.refuse = NotFoundError('container not found ("main")')
    socket = Socket(api, f"{PODS}/web/exec?command=x&stdout=1")
    assert (await socket.hear())["type"] == "websocket.accept"
    message = (await socket.hear())["bytes"]
    assert message[0] == 3
    assert b"container not found" in message
    await socket.ended()


class OnlyGet:
    """`get pods/exec` and its like, and nothing else."""

    def authorize(self, attributes, _reader):
        return Decision(attributes.verb == "get")


@pytest.mark.parametrize("route", ["exec?command=id&stdout=1", "attach?stdout=1", "portforward"])
async def test_get_is_not_enough(api, make, agents, route):
    """S49: reading rights run no command, whatever the method."""
    await ready(api, make)
    pipeline: Pipeline = api.app.websockets._pipeline
    guard: Guard = pipeline._guard
    guard._authorizers = (OnlyGet(),)
    socket = Socket(api, f"{PODS}/web/{route}", user="reader", groups=())
    assert (await socket.hear())["status"] == 403
    await socket.ended()
    for method in ("GET", "POST"):
        assert (await api.call(method, f"{PODS}/web/{route}", user="reader", groups=())).status == 403
    assert (await api.call("GET", f"{PODS}/web", user="reader", groups=())).status == 200
    node = Socket(api, "/api/v1/nodes/n1/proxy/exec/default/web/main?command=id&stdout=1", user="reader", groups=())
    assert (await node.hear())["status"] == 403
    await node.ended()
    assert agents.asked == []


async def test_discovery_names_the_subresources(api):
    listed = {item["name"]: item for item in (await api.get("/api/v1"))["resources"]}
    wanted = {
        "pods/exec": ("PodExecOptions", ["create", "get"]), "pods/attach": ("PodAttachOptions", ["create", "get"]),
        "pods/portforward": ("PodPortForwardOptions", ["create", "get"]),
        "pods/proxy": ("PodProxyOptions", ["create", "delete", "get", "patch", "update"]),
        "nodes/proxy": ("NodeProxyOptions", ["create", "delete", "get", "patch", "update"]),
        "pods/ephemeralcontainers": ("Pod", ["get", "patch", "update"]),
    }
    assert {name: (listed[name]["kind"], listed[name]["verbs"]) for name in wanted} == wanted
    paths = (await api.get("/openapi/v2"))["paths"]
    operation = paths["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["get"]
    assert (operation["operationId"], operation["x-kubernetes-action"]) == ("connectCoreV1GetNamespacedPodExec", "connect")


async def test_ephemeral_containers(api, make):
    """C242: a patch adds one, PUT a second; the pod's own endpoint adds none."""
    await ready(api, make)
    path = f"{PODS}/web/ephemeralcontainers"
    first = {"name": "one", "image": "busybox:local", "command": ["sh"]}
    patch = {"spec": {"ephemeralContainers": [first], "nodeName": "other"}}
    patched = await api.patch(path, patch, "strategic-merge-patch")
    assert [c["name"] for c in patched["spec"]["ephemeralContainers"]] == ["one"]
    assert patched["spec"]["nodeName"] == "n1"
    patched["spec"]["ephemeralContainers"].append({"name": "two", "image": "busybox:local"})
    await api.ok("PUT", path, patched)
    both = await api.get(path)
    assert [c["name"] for c in both["spec"]["ephemeralContainers"]] == ["one", "two"]
    again = {"spec": {"ephemeralContainers": [{"name": "three", "image": "busybox:local"}]}}
    await api.patch(path, again, "strategic-merge-patch")
    assert len((await api.get(path))["spec"]["ephemeralContainers"]) == 3
    refused = await api.call("PATCH", path, {"spec": {"ephemeralContainers": None}}, headers={"content-type": "application/merge-patch+json"})
    assert (refused.status, "may not be removed" in refused.json["message"]) == (422, True)
    own = {"spec": {"ephemeralContainers": [{"name": "four", "image": "busybox:local"}]}}
    headers = {"content-type": "application/strategic-merge-patch+json"}
    assert (await api.call("PATCH", f"{PODS}/web", own, headers=headers)).status == 422


async def test_proxies_that_are_not_there(api, make):
    await ready(api, make)
    assert (await api.call("GET", f"{PODS}/web/proxy?x=1")).header("location") == f"{PODS}/web/proxy/?x=1"
    assert (await api.call("GET", f"{PODS}/web/proxy/")).status == 503
    assert (await api.call("OPTIONS", f"{PODS}/a:b:c:d/proxy/")).status == 400
    assert (await api.call("GET", "/api/v1/nodes/n1/proxy/healthz")).status == 503
    assert (await api.call("GET", "/api/v1/nodes/none/proxy/healthz")).status == 404
