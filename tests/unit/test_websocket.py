"""A server's WebSocket: refusals, goodbyes, tokens as subprotocols, and who ends first."""

import asyncio
import base64

import pytest

from windlass.errors import UnauthorizedError
from windlass.websocket import BEARER_PREFIX, DENIAL, LOST, PeerGoneError, WebSocketPeer, bearer_token, first_of


def peer(*events, subprotocols=(), extensions=None, fails=False):
    sent, pending = [], list(events)

    async def receive():
        return pending.pop(0)

    async def send(event):
        if fails:
            raise OSError("gone")
        sent.append(event)

    made = WebSocketPeer({"subprotocols": list(subprotocols), "extensions": extensions or {}}, receive, send)
    return made, sent


async def test_messages():
    client, sent = peer(
        {"type": "websocket.receive", "bytes": b"a"}, {"type": "websocket.receive", "bytes": None, "text": "b"},
        {"type": "websocket.receive", "bytes": b""}, {"type": "websocket.disconnect", "code": 1000},
    )
    assert [await client.receive() for _ in range(4)] == [b"a", "b", b"", None]
    with pytest.raises(PeerGoneError):
        await client.send(b"x")
    await client.close()
    assert sent == []


async def test_a_refusal_is_an_http_answer_where_the_server_can():
    client, sent = peer(extensions={DENIAL: {}})
    await client.refuse(403, [("Content-Type", "application/json")], b"{}")
    assert sent[0]["status"] == 403
    assert (b"content-length", b"2") in sent[0]["headers"]
    assert sent[1]["body"] == b"{}"
    client, sent = peer()
    await client.refuse(403, [], b"{}")
    assert [event["type"] for event in sent] == ["websocket.close"]


async def test_reasons_are_cut_to_what_a_frame_holds():
    client, sent = peer()
    await client.close(1011, "é" * 100)
    assert len(sent[0]["reason"].encode()) <= 123
    await client.close()
    assert len(sent) == 1


async def test_a_client_that_goes_at_this_very_moment():
    client, _ = peer(fails=True)
    with pytest.raises(PeerGoneError):
        await client.send(b"x")
    client, _ = peer(fails=True)
    await client.close()


async def test_the_lost_connection_is_told():
    lost = asyncio.Event()
    client, _ = peer(extensions={LOST: lost})
    waiting = asyncio.ensure_future(client.lost())
    lost.set()
    await asyncio.wait_for(waiting, 20)


def test_tokens_are_no_subprotocols():
    token = base64.urlsafe_b64encode(b"secret?>").decode().rstrip("=")
    offered = (BEARER_PREFIX + token, "v5.channel.k8s.io")
    assert bearer_token(offered) == "secret?>"
    assert peer(subprotocols=offered)[0].offered == ("v5.channel.k8s.io",)
    assert bearer_token(("v5.channel.k8s.io",)) == ""


@pytest.mark.parametrize("token", ["A", "w6k", "!"])
def test_bad_tokens(token):
    with pytest.raises(UnauthorizedError):
        bearer_token((BEARER_PREFIX + token,))


async def test_the_first_ends_the_others_and_its_error_is_the_one():
    ended = []

    async def wait(name):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        await first_of(wait("a"), fail(), wait("b"))
    assert sorted(ended) == ["a", "b"]
