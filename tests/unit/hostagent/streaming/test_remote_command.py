"""exec and attach: what passes between the client and the container, and how it ends."""

import asyncio
import json

import pytest

from windlass.apimachinery.channels import OLD, V4, V4_BASE64, V5, Codec
from windlass.errors import RuntimeDriverError
from windlass_hostagent.server.remote_command import RemoteCommand, StreamOptions

EVERYTHING = StreamOptions(stdin=True, stdout=True, stderr=True)


def command(socket, container, options=EVERYTHING, protocol=V5, tells=True):
    return RemoteCommand(socket.peer, Codec(protocol), container, options, tells_exit_code=tells).run()


async def test_output_then_status_then_the_end(socket, container, running):
    async with running(command(socket, container)):
        container.produced.put_nowait(("stdout", b"out"))
        container.produced.put_nowait(("stderr", b"err"))
        container.end(3)
        *output, status = await socket.hear_all()
    assert output == [b"\x01", b"\x01out", b"\x02err"]
    assert status[0] == 3
    assert json.loads(status[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert container.closes == 1


@pytest.mark.parametrize(("protocol", "last"), [(V4, b'\x03{"metadata":{},"status":"Success"}'), (OLD, b"\x01"), (V4_BASE64, "3eyJt")])
async def test_success_in_every_protocol(make_socket, container, running, protocol, last):
    socket = make_socket()
    async with running(command(socket, container, protocol=protocol)):
        container.end(0)
        heard = await socket.hear_all()
    assert heard[-1].startswith(last) if isinstance(last, str) else heard[-1] == last


async def test_attach_does_not_tell_an_exit_code(socket, container, running):
    async with running(command(socket, container, tells=False)):
        container.end(9)
        assert json.loads((await socket.hear_all())[-1][1:])["status"] == "Success"


async def test_input_resize_and_the_end_of_stdin(socket, container, running):
    async with running(command(socket, container)):
        socket.say(b"\0hello ")
        socket.say(b"\0world")
        socket.say(b'\x04{"Width":100,"Height":40}')
        socket.say(b"\x04nonsense")
        socket.say(b"\xff\x00")
        await asyncio.wait_for(container.stdin_ended.wait(), 20)
        socket.say(b"\0too late")
        container.end(0)
        await socket.hear_all()
    assert container.written == [b"hello ", b"world"]
    assert container.sizes == [(100, 40)]


async def test_only_what_was_asked_for(socket, container, running):
    options = StreamOptions(stdout=True)
    async with running(command(socket, container, options)):
        socket.say(b"\0unasked")
        container.produced.put_nowait(("stderr", b"unasked"))
        container.produced.put_nowait(("stdout", b"asked"))
        container.end(0)
        heard = await socket.hear_all()
    assert [message for message in heard if message[0] != 3] == [b"\x01", b"\x01asked"]
    assert container.written == []


async def test_the_client_leaves(socket, container, running):
    """Everything is given back when either side goes."""
    async with running(command(socket, container)):
        socket.leave()
    assert container.closes == 1


async def test_the_client_is_lost_while_the_process_does_not_read(socket, container, running):
    """Nobody would see the connection's end: the input task waits for the process."""
    container.reads.clear()
    async with running(command(socket, container)):
        socket.say(b"\0never read")
        await asyncio.wait_for(container.writing.wait(), 20)
        socket.lost.set()
    assert container.closes == 1


async def test_a_slow_client_slows_the_process_down(make_socket, container, running):
    socket = make_socket((V5,), window=3)
    for _ in range(500):
        container.produced.put_nowait(("stdout", b"x"))
    container.end(0)
    async with running(command(socket, container)) as task:
        while not socket.outbox.full():
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert container.produced.qsize() >= 490, "nothing is kept in between"
        assert not task.done()
        heard = await socket.hear_all()
    assert len(heard) == 502


async def test_large_chunks_are_cut(socket, container, running):
    async with running(command(socket, container)):
        container.produced.put_nowait(("stdout", b"y" * 100_000))
        container.end(0)
        heard = await socket.hear_all()
    assert max(map(len, heard)) <= 32 * 1024 + 1
    assert b"".join(message[1:] for message in heard[:-1]) == b"y" * 100_000


async def test_a_broken_runtime_is_told(socket, container, running):
    async with running(command(socket, container)):
        container.produced.put_nowait(RuntimeDriverError("the daemon went away"))
        status = json.loads((await socket.hear_all())[-1][1:])
    assert "the daemon went away" in status["message"]
    assert (status["status"], status["code"]) == ("Failure", 500)


async def test_nonsense_ends_the_stream(socket, container, running):
    async with running(command(socket, container)):
        socket.say(b"\x09what")
        heard = await socket.hear_all()
    assert b"channel 9" in heard[-1]
    assert container.closes == 1


async def test_a_process_that_closed_its_stdin(socket, container, running):
    async def refuse(_data):
        raise BrokenPipeError("closed")

    container.write = refuse
    async with running(command(socket, container)):
        socket.say(b"\0one")
        socket.say(b"\0two")
        container.produced.put_nowait(("stdout", b"bye"))
        container.end(0)
        assert b"\x01bye" in await socket.hear_all()
