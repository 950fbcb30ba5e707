"""Port-forward: SPDY pairs and channel pairs against a real listener on loopback."""

import asyncio
import struct

import pytest

from windlass.apimachinery.channels import SPDY_TUNNEL, V4, Codec
from windlass.errors import BadRequestError, RuntimeDriverError
from windlass.plugin.interfaces.runtime import SandboxStatus
from windlass_hostagent.server import dial
from windlass_hostagent.server.port_forward import ChannelForward, SpdyForward, parse_ports
from windlass_hostagent.server.spdy import frames
from windlass_hostagent.server.spdy.frames import FrameReader, FrameType, ResetCode
from windlass_hostagent.server.spdy.headers import HeaderWriter

PATIENCE = 20
HOST_NETWORK = SandboxStatus("s", True, 1.0, {})


def connect(port):
    return dial.connect(HOST_NETWORK, port)


class Pod:
    """Answers `say N` with N bytes, `echo` with what follows until its end; counts who is there."""

    def __init__(self):
        self.inside, self.broken, self.unread = 0, asyncio.Event(), asyncio.Event()

    async def serve(self, reader, writer):
        self.inside += 1
        try:
            line = await reader.readline()
            if line.startswith(b"say"):
                writer.write(b"x" * int(line.split()[1]))
            elif line == b"echo\n":
                writer.write(await reader.read())
            elif line == b"hold\n":
                self.unread.set()
                await reader.read()
                self.broken.set()
            await writer.drain()
        except ConnectionError:
            self.broken.set()
        finally:
            self.inside -= 1
            writer.close()


@pytest.fixture
async def pod():
    pod = Pod()
    server = await asyncio.start_server(pod.serve, "127.0.0.1", 0)
    pod.port = server.sockets[0].getsockname()[1]
    yield pod
    server.close()
    async with asyncio.timeout(PATIENCE):
        while pod.inside:
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


class Kubectl:
    """The client's side of the tunnel."""

    def __init__(self, socket):
        self.socket, self.writer, self.frames, self.next, self.request = socket, HeaderWriter(), FrameReader(), 1, 0
        self.got, self.ended, self.resets = {}, set(), {}

    def stream(self, kind, port, request=None, fin=False):
        number, self.next = self.next, self.next + 2
        headers = {"streamType": kind, "port": str(port), "requestID": str(self.request if request is None else request)}
        self.say(frames.syn_stream(number, self.writer.pack(headers), fin=fin))
        return number

    def pair(self, port):
        error = self.stream("error", port, fin=True)
        data = self.stream("data", port)
        self.request += 1
        return data, error

    def say(self, data):
        self.socket.say(data)

    async def until(self, probe):
        while not probe():
            message = await self.socket.hear()
            assert message is not None
            for frame in self.frames.feed(message):
                if frame.type == 0:
                    self.got[frame.stream_id] = self.got.get(frame.stream_id, b"") + frame.payload
                    if frame.fin:
                        self.ended.add(frame.stream_id)
                elif frame.type == FrameType.RST_STREAM:
                    self.resets[frame.stream_id] = struct.unpack(">I", frame.payload)[0]


@pytest.fixture
async def kubectl(make_socket):
    return Kubectl(make_socket((SPDY_TUNNEL,)))


async def test_spdy_connections_side_by_side(kubectl, pod, running):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        pairs = [kubectl.pair(pod.port) for _ in range(5)]
        for number, (data, _) in enumerate(pairs):
            kubectl.say(frames.data(data, f"say {100_000 + number}\n".encode()))
        await kubectl.until(lambda: kubectl.ended >= {stream for pair in pairs for stream in pair})
        assert [len(kubectl.got[data]) for data, _ in pairs] == [100_000 + number for number in range(5)]
        assert not any(kubectl.got.get(error) for _, error in pairs)
        kubectl.socket.leave()


async def test_the_clients_half_ends_first(kubectl, pod, running):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        data, error = kubectl.pair(pod.port)
        for piece in (b"echo\n", b"one ", b"two"):
            kubectl.say(frames.data(data, piece))
        kubectl.say(frames.data(data, b"", fin=True))
        await kubectl.until(lambda: {data, error} <= kubectl.ended)
        assert kubectl.got[data] == b"one two"
        kubectl.socket.leave()


async def test_a_closed_port_is_told_on_the_error_stream(kubectl, running, unused_tcp_port):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        data, error = kubectl.pair(unused_tcp_port)
        await kubectl.until(lambda: {data, error} <= kubectl.ended)
        assert b"Connection refused" in kubectl.got[error]
        kubectl.socket.leave()


async def test_a_reset_ends_the_pods_side_and_the_error_stream(kubectl, pod, running):
    """kubectl resets the data stream and then waits for the error stream's end."""
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        data, error = kubectl.pair(pod.port)
        kubectl.say(frames.data(data, b"hold\n"))
        await asyncio.wait_for(pod.unread.wait(), PATIENCE)
        kubectl.say(frames.rst_stream(data, ResetCode.CANCEL))
        await kubectl.until(lambda: error in kubectl.ended)
        await asyncio.wait_for(pod.broken.wait(), PATIENCE)
        kubectl.socket.leave()


@pytest.mark.parametrize(("kind", "port"), [("data", 0), ("data", 70000), ("data", "x"), ("other", 80), ("", 80)])
async def test_streams_that_make_no_sense_are_reset(kubectl, running, kind, port):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        number = kubectl.stream(kind, port)
        await kubectl.until(lambda: number in kubectl.resets)
        kubectl.socket.leave()


async def test_lonely_streams_are_bounded(kubectl, running):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        numbers = [kubectl.stream("error", 80, request=number) for number in range(70)]
        await kubectl.until(lambda: len(kubectl.resets) >= 6)
        assert set(kubectl.resets) == set(numbers[64:])
        kubectl.socket.leave()


async def test_the_client_goes_and_takes_everything_with_it(kubectl, pod, running):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        data, _ = kubectl.pair(pod.port)
        kubectl.say(frames.data(data, b"hold\n"))
        await asyncio.wait_for(pod.unread.wait(), PATIENCE)
        kubectl.socket.lost.set()
    await asyncio.wait_for(pod.broken.wait(), PATIENCE)


async def test_garbage_ends_the_session(kubectl, running):
    async with running(SpdyForward(kubectl.socket.peer, connect).run()):
        kubectl.say(b"GET / HTTP/1.1\r\n\r\n and more of it, which is no SPDY")
        while await kubectl.socket.hear() is not None:
            pass
    assert kubectl.socket.closed["code"] == 1011


async def test_channel_pairs(make_socket, pod, running, unused_tcp_port):
    """What the Python client speaks: both channels of a port begin with its number."""
    socket = make_socket((V4,))
    async with running(ChannelForward(socket.peer, Codec(V4), [pod.port, unused_tcp_port], connect).run()):
        wanted = [pod.port, pod.port, unused_tcp_port, unused_tcp_port]
        assert [await socket.hear() for _ in range(4)] == [bytes((n,)) + struct.pack("<H", p) for n, p in enumerate(wanted)]
        socket.say(b"\0say 70000\n")
        heard = {}
        for message in await socket.hear_all():
            heard[message[0]] = heard.get(message[0], b"") + message[1:]
    assert heard[0] == b"x" * 70_000
    assert b"Connection refused" in heard[3]
    assert 1 not in heard


async def test_an_unknown_channel_ends_it(make_socket, pod, running):
    socket = make_socket((V4,))
    async with running(ChannelForward(socket.peer, Codec(V4), [pod.port], connect).run()):
        socket.say(b"\x07x")
        assert len(await socket.hear_all()) == 2


@pytest.mark.parametrize("values", [[], ["x"], ["0"], ["65536"], ["-1"], ["80", ""], ["1,2,x"], ["٣"], ["1"] * 101])
def test_bad_ports(values):
    with pytest.raises(BadRequestError):
        parse_ports(values)


def test_ports():
    assert parse_ports(["80", "81,82"]) == [80, 81, 82]


async def test_a_pod_without_a_network_here():
    """hollow: its addresses are pretended."""
    with pytest.raises(RuntimeDriverError, match="no network on this machine"):
        await dial.connect(SandboxStatus("s", True, 1.0, {}, ips=("10.0.0.1",)), 80)
