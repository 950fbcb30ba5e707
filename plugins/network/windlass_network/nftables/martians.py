"""Which addresses nobody may send other people's connections to. Pure, and quick: every endpoint passes here."""

import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache

Range = tuple[int, int, int]
"""IP version, first and last address as numbers."""


@lru_cache(maxsize=64)
def ranges_of(cidrs: tuple[str, ...]) -> tuple[Range, ...]:
    """Read networks. Raises ValueError."""
    networks = [ipaddress.ip_network(text, strict=False) for text in cidrs]
    return tuple((one.version, int(one[0]), int(one[-1])) for one in networks)


def is_within(text: str, cidrs: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks."""
    version = 6 if ":" in text else 4
    number = int.from_bytes(_packed(text, version), "big")
    return any(v == version and first <= number <= last for v, first, last in ranges_of(tuple(cidrs)))


def is_address(text: str) -> bool:
    """Whether it is an IP address at all."""
    try:
        _packed(text, 6 if ":" in text else 4)
    except (OSError, ValueError):
        return False
    return True


def _packed(text: str, version: int) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, text)


def martian(text: str) -> str:
    """Say what is wrong with an address, '' when nothing is."""
    if not is_address(text):
        return "no address"
    if ":" in text:
        return _martian6(ipaddress.IPv6Address(text))
    packed = _packed(text, 4)
    if packed[0] == 127:
        return "a loopback address"
    if packed[:2] == b"\xa9\xfe":
        return "a link-local address"
    if 224 <= packed[0] < 240:
        return "a multicast address"
    return "unspecified" if packed[0] in {0, 255} else ""


def _martian6(address: ipaddress.IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return "an IPv4 address in disguise"
    traits = {
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "unspecified": address.is_unspecified,
    }
    return next((words for words, true in traits.items() if true), "")
