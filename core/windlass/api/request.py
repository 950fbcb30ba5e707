"""A request, as the handlers see it: where its path leads, its query, its headers, its body."""

import re
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from windlass.errors import BadRequestError, NotFoundError
from windlass.plugin.interfaces.authn import ANONYMOUS, UserInfo

RECEIVE = "windlass.receive"
"""Key of ASGI's `receive` in the scope."""
MAX_PATH_LENGTH = 4096
MAX_QUERY_FIELDS = 1024  # a command in a container is one field per word
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
PLAIN_PATH = re.compile(rb"/[A-Za-z0-9_./:-]*")
"""Nearly every path: nothing in it is encoded, so that its segments need no look each, unless one begins with a dot."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
PROXIED = re.compile(rb"^/api/v1/(?:nodes/[^/]+|namespaces/[^/]+/(?:pods|services)/[^/]+)/proxy(?=/|$)")
PAGE_NOT_FOUND = "the server could not find the requested resource"


class ParsedPath(NamedTuple):
    """Where a path leads. `plural` is '' for paths that name no resource (discovery, health, ...).

    `tail` is what stands behind `.../proxy`, as it came: it is the backend's, not ours to read.
    """

    text: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    tail: str = ""


@lru_cache(maxsize=8192)
def parse_path(raw: bytes) -> ParsedPath:
    """Read an undecoded path. Raises 400 for segments that can be no name, 404 for empty ones."""
    if len(raw) > MAX_PATH_LENGTH:
        raise BadRequestError(f"the path is longer than {MAX_PATH_LENGTH} bytes")
    proxied = PROXIED.match(raw)
    if proxied is not None and proxied.end() < len(raw):
        tail = raw[proxied.end() :].decode("latin-1")
        path = parse_path(proxied.group())
        return path._replace(text=path.text + tail, tail=tail)
    parts = _split(raw)
    text = "/" + "/".join(parts)
    if raw.startswith(b"//") or raw.endswith(b"//"):
        raise NotFoundError(PAGE_NOT_FOUND)
    if len(parts) >= 3 and parts[0] == "api":
        return _resource(text, "", parts[1], parts[2:])
    if len(parts) >= 4 and parts[0] == "apis":
        return _resource(text, parts[1], parts[2], parts[3:])
    return ParsedPath(text)


def _split(raw: bytes) -> list[str]:
    if not raw.strip(b"/"):
        return []
    if PLAIN_PATH.fullmatch(raw) and b"/." not in raw and b"//" not in raw:
        return raw.decode("ascii").strip("/").split("/")
    return [_segment(part) for part in raw.strip(b"/").split(b"/")]


def _segment(raw: bytes) -> str:
    if not raw:
        raise NotFoundError(PAGE_NOT_FOUND)
    try:
        text = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequestError("the path is not UTF-8") from None
    if text in (".", "..") or "/" in text or "%" in text or UNPRINTABLE.search(text):
        raise BadRequestError(
            f"invalid path segment {text!r}: it may not be '.' or '..', nor contain '/', '%' or control characters"
        )
    return text


def _resource(text: str, group: str, version: str, rest: list[str]) -> ParsedPath:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    plural, name, *deeper = *rest, *([""] * (2 - len(rest)))
    return ParsedPath(text, group, version, plural, namespace, name, "/".join(deeper))


class ApiRequest:
    """One request on its way through the pipeline. `user`, `verb` and `audit_id` are filled in on the way."""

    __slots__ = ("_headers", "_query", "audit_id", "chunks", "method", "path", "scope", "user", "verb")

    def __init__(self, scope: dict[str, Any], chunks: AsyncIterator[bytes] | None) -> None:
        self.scope = scope
        self.chunks = chunks
        self.method: str = "GET" if scope.get("method", "GET") == "HEAD" else scope.get("method", "GET")
        self.path = ParsedPath("")
        self.user: UserInfo = ANONYMOUS
        self.verb = ""
        self.audit_id = ""
        self._query: dict[str, list[str]] | None = None
        self._headers: dict[bytes, bytes] | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether the client asks for a WebSocket."""
        return bool(self.scope["type"] == "websocket")

    @property
    def raw_path(self) -> bytes:
        """The path as it came, still encoded."""
        raw = self.scope.get("raw_path")
        if raw is None:
            return str(self.scope["path"]).encode()
        return bytes(raw).split(b"?", 1)[0]

    def header(self, name: bytes) -> str:
        """Return a header by its lower-case name, '' when absent; the last one wins."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers.get(name, b"").decode("latin-1")

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter. Raises 400 for a query that cannot be read."""
        if self._query is None:
            self._query = _parse_query(self.scope.get("query_string", b""))
        return self._query.get(name, [])

    def value(self, name: str) -> str:
        """Return the first value of a query parameter, '' when absent."""
        values = self.values(name)
        return values[0] if values else ""

    def integer(self, name: str) -> int | None:
        """Return a query parameter as an integer, None when absent. Raises 400."""
        text = self.value(name)
        if not text:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
            raise BadRequestError(f"{name}: Invalid value: {text!r}: must be an integer")
        return int(text)

    def flag(self, name: str) -> bool | None:
        """Return a query parameter as a boolean, None when absent. Raises 400."""
        if not self.values(name):
            return None
        text = self.value(name).lower()
        if text in ("1", "true", "t", ""):
            return True
        if text in ("0", "false", "f"):
            return False
        raise BadRequestError(f"{name}: Invalid value: {text!r}: must be true or false")


def _parse_query(raw: bytes) -> dict[str, list[str]]:
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except (ValueError, UnicodeError) as error:
        raise BadRequestError(f"the query cannot be read: {error}") from error
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    return query
