"""Ports for servers that a test starts in another process."""

import random
import socket

FIRST, LAST = 15_000, 32_000
"""Below the range that Linux takes ports of outgoing connections from: nobody gets one of these by chance."""
ATTEMPTS = 1_000


def free_ports(count: int) -> list[int]:
    """Return distinct loopback ports that are free now, and that no client on this machine will be given meanwhile.

    Raises OSError when none can be found.
    """
    found: list[int] = []
    for _ in range(ATTEMPTS):
        if len(found) == count:
            return found
        port = random.SystemRandom().randrange(FIRST, LAST)
        if port not in found and _is_free(port):
            found.append(port)
    raise OSError(f"no {count} free ports between {FIRST} and {LAST}")


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
