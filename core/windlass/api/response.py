"""What handlers answer: bytes at once, or a stream that runs until it or the client ends."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from windlass.apimachinery.status import to_status
from windlass.errors import (
    ApiError,
    ErrorDetails,
    InternalServerError,
    RequestTimeoutError,
    StoreUnavailableError,
    UnavailableError,
    UnknownOutcomeError,
)
from windlass.websocket import WebSocketPeer

JSON = "application/json"
MAX_WARNING_LENGTH = 1024
MAX_WARNINGS = 32
SendChunk = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class ApiResponse:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Stream:
    """An answer of unknown length. `run` sends chunks until it returns; it is cancelled when the client goes away.

    `close` is awaited at the end in any case, also when `run` was never started.
    """

    run: Callable[[SendChunk], Coroutine[Any, Any, None]]
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: Callable[[], Awaitable[None]] | None = None
    status: int = 200


@dataclass(slots=True)
class Upgraded:
    """An agreed WebSocket. `run` speaks to the client until either side ends; `close` as in `Stream`."""

    run: Callable[[WebSocketPeer], Coroutine[Any, Any, None]]
    protocol: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: Callable[[], Awaitable[None]] | None = None
    status: int = 101


Response = ApiResponse | Stream | Upgraded


def as_api_error(error: BaseException) -> ApiError:
    """Return the refusal that stands for an exception. What nobody foresaw is a 500 that gives nothing away."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, StoreUnavailableError):
        return UnavailableError(
            f"the store cannot be reached, nothing was written: {error}", details=ErrorDetails(retry_after_seconds=1)
        )
    if isinstance(error, UnknownOutcomeError):
        return RequestTimeoutError(
            "the store did not say in time whether the write happened; read the object before trying again",
            details=ErrorDetails(retry_after_seconds=1),
        )
    if isinstance(error, TimeoutError):
        return RequestTimeoutError("the request did not complete within its deadline; whether it happened is not known")
    return InternalServerError("Internal error occurred: the server's log has more under this audit id")


def error_response(error: ApiError) -> ApiResponse:
    """Return an error as a Status."""
    response = ApiResponse(orjson.dumps(to_status(error)), error.code)
    if error.details.retry_after_seconds:
        response.headers.append(("retry-after", str(error.details.retry_after_seconds)))
    if error.code == 401:
        response.headers.append(("www-authenticate", "Bearer"))
    return response


def json_response(value: Any, status: int = 200) -> ApiResponse:
    """Return any JSON value."""
    return ApiResponse(orjson.dumps(value), status)


def warning_headers(warnings: Sequence[str]) -> list[tuple[str, str]]:
    """Return Warning headers as RFC 7234 and kubectl have them, each text once, in order."""
    headers = []
    for text in list(dict.fromkeys(warnings))[:MAX_WARNINGS]:
        clean = "".join(char if char.isprintable() and char.isascii() else "?" for char in text[:MAX_WARNING_LENGTH])
        quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
        headers.append(("warning", f'299 - "{quoted}"'))
    return headers
