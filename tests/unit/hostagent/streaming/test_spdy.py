"""SPDY/3.1: the codec against itself, against bytes of the specification, and against garbage."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_hostagent.server.spdy import frames
from windlass_hostagent.server.spdy.frames import FrameError, FrameReader, FrameType, ResetCode
from windlass_hostagent.server.spdy.headers import DICTIONARY, HeaderBlockError, HeaderReader, HeaderWriter
from windlass_hostagent.server.spdy.session import DataReceived, PeerLeaves, SpdySession, StreamOpened, StreamReset

DATA_HEADERS = {"streamtype": "data", "port": "8080", "requestid": "0"}


class Client:
    """The opening side, as kubectl plays it."""

    def __init__(self):
        self.writer, self.reader, self.frames = HeaderWriter(), HeaderReader(), FrameReader()

    def open(self, stream_id, headers=None, fin=False):
        return frames.syn_stream(stream_id, self.writer.pack(headers or DATA_HEADERS), fin=fin)

    def read(self, data):
        return list(self.frames.feed(data))


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def session():
    return SpdySession()


def test_the_dictionary_is_the_protocols():
    """Every SPDY/3 peer's zlib streams name this checksum."""
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)
    assert HeaderWriter().pack({})[:6] == bytes.fromhex("789ce3c6a7c2") or HeaderWriter().pack({})[2:6] == bytes.fromhex("e3c6a7c2")


@given(st.lists(st.dictionaries(st.text("abcdefgh-", min_size=1), st.text(max_size=300), max_size=8), max_size=5))
def test_header_blocks_come_back(blocks):
    writer, reader = HeaderWriter(), HeaderReader()
    for block in blocks:
        assert reader.unpack(writer.pack(block)) == block


@pytest.mark.parametrize(
    "plain",
    [
        b"", b"\0\0\0\1", struct.pack(">II", 1, 99) + b"x", struct.pack(">I", 1000),
        struct.pack(">II", 1, 1) + b"\xff" + struct.pack(">I", 0),
        struct.pack(">I", 2) + (struct.pack(">I", 1) + b"a" + struct.pack(">I", 0)) * 2,
    ],
)
def test_bad_header_blocks_are_refused(plain):
    packer = zlib.compressobj(zdict=DICTIONARY)
    with pytest.raises(HeaderBlockError):
        HeaderReader().unpack(packer.compress(plain) + packer.flush(zlib.Z_SYNC_FLUSH))


def test_a_header_bomb_is_refused():
    packer = zlib.compressobj(zdict=DICTIONARY)
    with pytest.raises(HeaderBlockError, match="larger"):
        HeaderReader().unpack(packer.compress(b"\0" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH))
    with pytest.raises(HeaderBlockError):
        HeaderReader().unpack(b"not zlib at all")


@given(st.lists(st.tuples(st.sampled_from((1, 3, 5)), st.binary(max_size=2000), st.booleans()), max_size=10), st.data())
def test_frames_come_back_however_they_are_cut(wanted, choices):
    wire = b"".join(frames.data(stream, body, fin=fin) for stream, body, fin in wanted)
    reader, got = FrameReader(), []
    while wire:
        cut = choices.draw(st.integers(1, len(wire)))
        got += reader.feed(wire[:cut])
        wire = wire[cut:]
    assert [(frame.stream_id, frame.payload, frame.fin) for frame in got] == wanted


@given(st.binary(max_size=400))
def test_garbage_never_surprises(junk):
    """Whatever comes: events, or one of the two errors that end a session."""
    session = SpdySession()
    try:
        session.receive(junk)
    except (FrameError, HeaderBlockError):
        return
    assert len(session.to_send()) <= 4096


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack(">II", 0x80020001, 10), struct.pack(">II", 0x80030001, 0xFFFFFF), struct.pack(">II", 1, 0xFFFFFF),
        struct.pack(">II", 0x80030003, 2) + b"ab",
    ],
    ids=["version 2", "huge control frame", "huge data frame", "short reset"],
)
def test_impossible_frames_are_refused_at_their_head(wire):
    with pytest.raises(FrameError):
        list(FrameReader().feed(wire))


def test_the_bytes_are_those_of_the_specification():
    assert frames.ping(1) == bytes.fromhex("8003000600000004" "00000001")
    assert frames.rst_stream(3, ResetCode.CANCEL) == bytes.fromhex("8003000300000008" "0000000300000005")
    assert frames.data(5, b"hi", fin=True) == bytes.fromhex("0000000501000002") + b"hi"
    assert frames.goaway(7) == bytes.fromhex("8003000700000008" "0000000700000000")
    assert frames.window_update(1, 16) == bytes.fromhex("8003000900000008" "0000000100000010")


def test_a_streams_life(client, session):
    events = session.receive(client.open(1) + frames.data(1, b"question", fin=True))
    assert events == [StreamOpened(1, DATA_HEADERS), DataReceived(1, b"question", fin=True)]
    session.accept(1)
    session.send(1, b"answer")
    session.send(1, b"", fin=True)
    reply, answer, end = client.read(session.to_send())
    assert (reply.type, reply.stream_id) == (FrameType.SYN_REPLY, 1)
    assert client.reader.unpack(reply.payload) == {}
    assert (answer.payload, answer.fin, end.payload, end.fin) == (b"answer", False, b"", True)
    session.send(1, b"too late")
    assert session.to_send() == b""


def test_large_data_is_cut(client, session):
    session.receive(client.open(1))
    session.send(1, b"x" * 100_000)
    got = client.read(session.to_send())
    assert b"".join(frame.payload for frame in got) == b"x" * 100_000
    assert max(len(frame.payload) for frame in got) <= 32 * 1024


def test_pings_are_answered_and_answers_are_not(session):
    assert session.receive(frames.ping(1) + frames.ping(2) + frames.ping(3)) == []
    assert session.to_send() == frames.ping(1) + frames.ping(3)


def test_resets_and_goodbyes(client, session):
    session.receive(client.open(1) + client.open(3))
    assert session.receive(frames.rst_stream(1, ResetCode.CANCEL)) == [StreamReset(1)]
    assert session.receive(frames.data(1, b"late")) == []
    session.reset(3, ResetCode.REFUSED_STREAM)
    assert session.to_send() == frames.rst_stream(3, ResetCode.REFUSED_STREAM)
    assert session.receive(frames.rst_stream(3, ResetCode.CANCEL) + frames.goaway(0)) == [PeerLeaves()]


def test_settings_headers_and_unknown_frames_change_nothing(client, session):
    session.receive(client.open(1))
    settings = frames.control(FrameType.SETTINGS, struct.pack(">III", 1, 7, 65536))
    headers = frames.control(FrameType.HEADERS, struct.pack(">I", 1) + client.writer.pack({"a": "b"}))
    unknown = frames.control(77, b"what")
    assert session.receive(settings + headers + unknown + frames.window_update(1, 10)) == []
    assert session.receive(client.open(3)) == [StreamOpened(3, DATA_HEADERS)], "the compression is still in step"


@pytest.mark.parametrize("order", [(2,), (3, 1), (1, 1)])
def test_stream_ids_only_grow_and_are_odd(client, session, order):
    *first, last = order
    for number in first:
        session.receive(client.open(number))
    with pytest.raises(FrameError):
        session.receive(client.open(last))


def test_data_of_a_stream_that_nobody_opened(client, session):
    session.receive(client.open(1))
    with pytest.raises(FrameError):
        session.receive(frames.data(5, b"x"))


def test_too_many_streams_are_refused(client):
    session = SpdySession(max_streams=2)
    events = session.receive(client.open(1) + client.open(3) + client.open(5))
    assert [event.stream_id for event in events] == [1, 3]
    assert session.to_send() == frames.rst_stream(5, ResetCode.REFUSED_STREAM)


def test_what_was_taken_is_granted_again(client, session):
    session.receive(client.open(1))
    session.taken(1, 500)
    assert session.to_send() == frames.window_update(0, 500) + frames.window_update(1, 500)
