"""From a runtime's log lines to the bytes that `kubectl logs` shows: bounds, timestamps, follow."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from windlass.clock import Clock, parse_rfc3339
from windlass.errors import BadRequestError
from windlass.plugin.interfaces.runtime import LogLine

FLUSH_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What a request asks for. `since` in UNIX seconds; `limit_bytes` below 0 means no limit; `tail` below 0: all."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int = -1
    since: float = 0.0
    limit_bytes: int = -1


def _flag(params: Mapping[str, str], name: str) -> bool:
    return params.get(name, "").lower() in ("true", "1")


def _number(params: Mapping[str, str], name: str, least: int) -> int | None:
    text = params.get(name)
    if text is None or text == "":
        return None
    try:
        value = int(text)
    except ValueError:
        raise BadRequestError(f"{name} must be a whole number, not {text!r}") from None
    if value < least:
        raise BadRequestError(f"{name} must be at least {least}, not {value}")
    return value


def parse_options(params: Mapping[str, str], clock: Clock) -> LogOptions:
    """Read the query. Raises BadRequestError naming the parameter."""
    tail = _number(params, "tailLines", 0)
    limit = _number(params, "limitBytes", 1)
    seconds = _number(params, "sinceSeconds", 1)
    since = 0.0
    if seconds is not None:
        since = clock.now().timestamp() - seconds
    elif params.get("sinceTime"):
        try:
            since = parse_rfc3339(params["sinceTime"]).timestamp()
        except ValueError:
            raise BadRequestError(f"sinceTime must be an RFC 3339 time, not {params['sinceTime']!r}") from None
    return LogOptions(
        follow=_flag(params, "follow"),
        previous=_flag(params, "previous"),
        timestamps=_flag(params, "timestamps"),
        tail=-1 if tail is None else tail,
        since=since,
        limit_bytes=-1 if limit is None else limit,
    )


def format_line(line: LogLine, *, timestamps: bool) -> bytes:
    """Format one line; a piece of a very long line carries no end of line, and none is added."""
    return line.timestamp.encode() + b" " + line.content if timestamps else line.content


async def stream(lines: AsyncIterator[LogLine], options: LogOptions) -> AsyncIterator[bytes]:
    """Yield chunks: whole lines when following, larger pieces otherwise; stop at the byte limit."""
    left = options.limit_bytes
    buffer = bytearray()
    async for line in lines:
        data = format_line(line, timestamps=options.timestamps)
        if left >= 0:
            data = data[:left]
            left -= len(data)
        buffer += data
        if options.follow or len(buffer) >= FLUSH_BYTES:
            yield bytes(buffer)
            buffer.clear()
        if left == 0:
            break
    if buffer:
        yield bytes(buffer)
