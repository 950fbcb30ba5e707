"""Container output over a WebSocket."""

import asyncio
from contextlib import asynccontextmanager

import pytest

PODS = "/api/v1/namespaces/default/pods"


class Backend:
    closed = 0

    @asynccontextmanager
    async def open(self, _target):
        async def chunks():
            yield b"one\n"
            yield b"two\n"

        try:
            yield chunks()
        finally:
            self.closed += 1


@pytest.fixture
def log_backend():
    return Backend()


async def connect(api, target, subprotocols=("binary.k8s.io",), **who):
    scope = api.scope("GET", target, **who)
    del scope["method"]
    scope |= {"type": "websocket", "scheme": "wss", "subprotocols": list(subprotocols)}
    sent, opened = [], [{"type": "websocket.connect"}]

    async def receive():
        if opened:
            return opened.pop()
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async with asyncio.timeout(60):
        await api.app(scope, receive, send)
    return sent


async def ready(api, make):
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    await api.ok("POST", PODS, make.pod(nodeName="n1"))


@pytest.mark.parametrize("subprotocols", [("binary.k8s.io",), (), ("other", "binary.k8s.io")])
async def test_exact_output(api, make, log_backend, subprotocols):
    """C271."""
    await ready(api, make)
    sent = await connect(api, f"{PODS}/web/log?container=main", subprotocols)
    assert sent[0]["type"] == "websocket.accept"
    assert (sent[0].get("subprotocol") or "") == ("binary.k8s.io" if subprotocols else "")
    assert b"".join(message["bytes"] for message in sent if message["type"] == "websocket.send") == b"one\ntwo\n"
    assert sent[-1]["type"] == "websocket.close"
    assert log_backend.closed == 1


async def test_refusals_leave_nothing_open(api, make, log_backend):
    """S46, S49: nobody gets a socket whom a GET would refuse."""
    await ready(api, make)
    for target, who in ((f"{PODS}/web/log", {"user": ""}), (f"{PODS}/web/log", {"user": "eve", "groups": ()}), (f"{PODS}/none/log", {})):
        sent = await connect(api, target, **who)
        assert [message["type"] for message in sent] == ["websocket.close"], sent
    sent = await connect(api, f"{PODS}/web/log", ("v9.unknown",))
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert log_backend.closed == 1
