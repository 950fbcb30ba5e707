"""What a proxied request may reach, and what of it goes on. Pure.

The backend is somebody's pod: it must not learn what its caller shows to the API server, nor be a way to reach what only
the API server's machine can reach.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from windlass.errors import BadRequestError, UnavailableError

SCHEMES = ("http", "https")
HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
OURS = frozenset({"host", "authorization", "windlass-fence", "expect", "forwarded"})
OUR_PREFIXES = ("impersonate-", "x-remote-", "x-forwarded-", "sec-websocket-")
NOT_RETURNED = frozenset({"date", "server", "set-cookie", "audit-id", "strict-transport-security", "content-type"})
"""Headers that are this server's to send. A cookie would go to every other pod behind this server as well."""
Headers = list[tuple[str, str]]


class ProxyName(NamedTuple):
    """`[scheme:]name[:port]`, as the name stands in the path."""

    scheme: str
    name: str
    port: str


def parse_name(text: str) -> ProxyName:
    """Read the name of a proxy's path. Raises BadRequestError."""
    parts = text.split(":")
    if len(parts) == 1:
        return ProxyName("", text, "")
    if len(parts) == 2 and parts[0]:
        return ProxyName("", parts[0], parts[1])
    if len(parts) == 3 and parts[0] in ("", *SCHEMES) and parts[1]:
        return ProxyName(parts[0], parts[1], parts[2])
    raise BadRequestError(f"invalid proxy target {text!r}: it is name, name:port or scheme:name:port")


def is_proxyable(text: str) -> bool:
    """Whether an address may be a pod's, as far as a proxy is concerned: no loopback, link-local or other special one."""
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    )


def pod_origin(pod: Mapping[str, Any], target: ProxyName) -> str:
    """Return scheme and authority of a pod's port; without one, that of its first declared port, else the scheme's own.

    Raises 400 for a port that is no number and for an address that may not be proxied to (S51), 503 without an address.
    """
    address = (pod.get("status") or {}).get("podIP") or ""
    if not address:
        raise UnavailableError(f"pod {target.name} has no IP address yet")
    if not is_proxyable(address):
        raise BadRequestError("address not allowed")
    port = target.port or _first_port(pod)
    if port and not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise BadRequestError(f"invalid port {port!r}: it must be a number from 1 to 65535")
    host = f"[{address}]" if ":" in address else address
    return f"{target.scheme or 'http'}://{host}" + (f":{int(port)}" if port else "")


def _first_port(pod: Mapping[str, Any]) -> str:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""


def request_headers(raw: Iterable[tuple[bytes, bytes]], client: Sequence[Any] | None, path: str) -> Headers:
    """Return the headers that go on: no hop-by-hop ones, none by which the caller proved who it is, none of ours."""
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    named = _named_by_connection(pairs)
    kept = [
        (name, value)
        for name, value in pairs
        if name not in HOP_BY_HOP and name not in OURS and name not in named and not name.startswith(OUR_PREFIXES)
    ]
    host = next((value for name, value in pairs if name == "host"), "")
    told = {"x-forwarded-for": str(client[0]) if client else "", "x-forwarded-host": host, "x-forwarded-uri": path}
    return [*kept, ("x-forwarded-proto", "https"), *((name, value) for name, value in told.items() if value)]


def response_headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers of the backend's answer that go back; its content type travels apart."""
    lowered = [(name.lower(), value) for name, value in pairs]
    named = _named_by_connection(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in HOP_BY_HOP and name not in NOT_RETURNED and name not in named and _is_clean(value)
    ]


def _is_clean(value: str) -> bool:
    return value.isprintable() and value.isascii()


def _named_by_connection(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    return frozenset(
        word.strip().lower()
        for name, value in pairs
        if name == "connection"
        for word in value.split(",")
        if word.strip()
    )
