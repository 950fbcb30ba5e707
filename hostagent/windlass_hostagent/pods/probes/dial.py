"""Connections to pods: the tcpSocket probe, and what users read when a connection fails."""

import asyncio
import errno
import ssl

from windlass_hostagent.pods.probes.results import Outcome, Result

DIAL_ERRORS = (OSError, TimeoutError, ssl.SSLError)
_WORDS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
}


def host_text(host: str) -> str:
    """Return a host as URLs write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def dial_failure(error: BaseException, host: str, port: int) -> str:
    """Return kubelet's words for a failed connection. Pure."""
    if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
        return "context deadline exceeded"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in _WORDS:
        return f"dial tcp {host_text(host)}:{port}: {_WORDS[number]}"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return str(error) or type(error).__name__


async def probe_tcp(host: str, port: int, timeout_seconds: float) -> Outcome:
    """Connect and hang up. Never raises for what the other side does."""
    try:
        async with asyncio.timeout(timeout_seconds):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
            transport.abort()
    except TimeoutError:
        return Outcome(Result.FAILURE, f"dial tcp {host_text(host)}:{port}: i/o timeout")
    except OSError as error:
        return Outcome(Result.FAILURE, dial_failure(error, host, port))
    return Outcome(Result.SUCCESS)
