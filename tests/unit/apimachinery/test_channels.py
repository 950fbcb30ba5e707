"""The channel subprotocols."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.channels import (
    OLD,
    OLD_BASE64,
    REMOTE_COMMAND,
    V4,
    V4_BASE64,
    V5,
    ChannelError,
    Codec,
    choose_protocol,
    error_message,
    exit_status,
    failure_status,
    parse_resize,
)
from windlass.errors import BadRequestError


@given(st.sampled_from(REMOTE_COMMAND), st.integers(0, 9), st.binary(max_size=1000))
def test_messages_come_back(protocol, channel, data):
    codec = Codec(protocol)
    message = codec.encode(channel, data)
    assert isinstance(message, str) == ("base64" in protocol)
    assert codec.decode(message) == (channel, data)


@pytest.mark.parametrize(("protocol", "message"), [(V4, b""), (V4_BASE64, "x"), (V4_BASE64, "0!!"), (OLD_BASE64, "0A"), (OLD_BASE64, "\u0661aa")])
def test_bad_messages_are_refused(protocol, message):
    with pytest.raises(ChannelError):
        Codec(protocol).decode(message)


def test_text_is_taken_on_binary_channels():
    assert Codec(V4).decode("\0ls\n") == (0, b"ls\n")


def test_the_clients_first_known_protocol_is_chosen():
    assert choose_protocol(("v9.channel.k8s.io", V5, V4), REMOTE_COMMAND) == V5
    assert choose_protocol((V4, V5), REMOTE_COMMAND) == V4
    assert choose_protocol((), REMOTE_COMMAND) == OLD
    with pytest.raises(BadRequestError, match=V5):
        choose_protocol(("v9.channel.k8s.io",), REMOTE_COMMAND)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"Width":80,"Height":24}', (80, 24)), (b'{"Width":0,"Height":24}', None), (b'{"Width":"80","Height":24}', None),
        (b"[]", None), (b"", None), (b'{"Width":99999999,"Height":1}', None), (b"\xff", None),
    ],
)
def test_resize(data, size):
    assert parse_resize(data) == size


def test_statuses_are_what_kubectl_reads():
    assert exit_status(0) == {"metadata": {}, "status": "Success"}
    failed = exit_status(3)
    assert failed["reason"] == "NonZeroExitCode"
    assert failed["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert json.loads(error_message(Codec(V5), failed)) == failed
    assert error_message(Codec(OLD), exit_status(0)) == b""
    assert error_message(Codec(OLD), failure_status("no such file")) == b"no such file"
