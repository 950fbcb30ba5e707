"""Kubernetes' channels: several byte streams in one WebSocket, the first byte of a message names the stream.

The subprotocols: `v5.channel.k8s.io` and `v4.channel.k8s.io` (binary; v5 can also end a stream: 255 and its number),
`v4.base64.channel.k8s.io` (text: a digit, then base64), and `channel.k8s.io` and `base64.channel.k8s.io`, whose error
channel carries plain text instead of a Status. Pure.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.errors import BadRequestError, WindlassError

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
V5, V4, V4_BASE64 = "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"
OLD, OLD_BASE64 = "channel.k8s.io", "base64.channel.k8s.io"
REMOTE_COMMAND = (V5, V4, V4_BASE64, OLD, OLD_BASE64)
SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"
PORT_FORWARD = (SPDY_TUNNEL, V4, V4_BASE64)
Message = bytes | str


class ChannelError(WindlassError):
    """A message that the subprotocol does not have."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Reads and writes the messages of one subprotocol."""

    protocol: str

    @property
    def ends_streams(self) -> bool:
        """Whether the peer can end one stream."""
        return self.protocol == V5

    @property
    def has_status(self) -> bool:
        """Whether the error channel carries a Status."""
        return self.protocol in (V5, V4, V4_BASE64)

    def encode(self, channel: int, data: bytes) -> Message:
        """Return a message."""
        if "base64" in self.protocol:
            return str(channel) + base64.b64encode(data).decode("ascii")
        return bytes((channel,)) + data

    def decode(self, message: Message) -> tuple[int, bytes]:
        """Return channel and data. Raises ChannelError."""
        if not message:
            raise ChannelError("an empty message")
        if "base64" not in self.protocol:
            raw = message.encode() if isinstance(message, str) else message
            return raw[0], raw[1:]
        text = message.decode("latin-1") if isinstance(message, bytes) else message
        if not text[0].isdecimal() or not text[0].isascii():
            raise ChannelError(f"a message that begins with {text[0]!r}, not with a channel")
        try:
            return int(text[0]), base64.b64decode(text[1:], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ChannelError(f"a message that is not base64: {error}") from error


def choose_protocol(offered: Sequence[str], known: Sequence[str]) -> str:
    """Return the first of the peer's subprotocols that is known; without any offer, the oldest. Raises BadRequestError."""
    if not offered and OLD in known:
        return OLD
    for name in offered:
        if name in known:
            return name
    raise BadRequestError(
        f"unable to upgrade: none of the subprotocols {list(offered)} is known; use {', '.join(known)}"
    )


def parse_resize(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a resize message; None for one that says nothing sensible, as kubelet ignores it."""
    try:
        size: Any = orjson.loads(data)
        width, height = size["Width"], size["Height"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 65536 and 0 < height < 65536:
        return width, height
    return None


def exit_status(code: int) -> dict[str, Any]:
    """Return the Status of a command that ended, as kubectl reads its exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure_status(message: str) -> dict[str, Any]:
    """Return the Status of a command that could not be run to its end."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


def error_message(codec: Codec, status: dict[str, Any]) -> bytes:
    """Return what goes to the error channel; empty when the old subprotocols say nothing."""
    if codec.has_status:
        return orjson.dumps(status)
    return b"" if status["status"] == "Success" else str(status["message"]).encode()
