"""Logs of every process: one JSON object per line on stderr, with what is secret blanked out.

Messages are constant; what varies stands in keys: `logger.info("pod started", namespace=..., name=...)`.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

# structlog pulls in rich, five megabytes, wherever it is installed; the renderer that would use it is not ours.
_HIDE_RICH = "rich" not in sys.modules
if _HIDE_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]

import structlog  # noqa: E402

if _HIDE_RICH:
    del sys.modules["rich"]

REDACTED = "**REDACTED**"

_SECRET_KEYS = frozenset(
    {
        "authorization",
        "token",
        "password",
        "passwd",
        "secret",
        "credentials",
        "private_key",
        "client_key",
        "client_key_data",
        "client-key-data",
        "bearer",
        "cookie",
        "id_token",
        "access_token",
        "refresh_token",
    }
)
_SECRET_SUFFIXES = ("_token", "_password", "_secret", "password", "-token")


def _is_secret_key(key: object) -> bool:
    text = str(key).lower()
    return text in _SECRET_KEYS or text.endswith(_SECRET_SUFFIXES)


def redact(value: Any) -> Any:
    """Return a copy of a logged value in which secrets are replaced: by key, and the data of Secret objects."""
    if isinstance(value, Mapping):
        hidden = ("data", "stringData") if value.get("kind") == "Secret" else ()
        return {key: REDACTED if key in hidden or _is_secret_key(key) else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact all keys of one event; a structlog processor."""
    for key, value in event.items():
        if _is_secret_key(key):
            event[key] = REDACTED
        elif isinstance(value, Mapping | list | tuple):
            event[key] = redact(value)
    return event


def _shared_processors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact_event,
    ]


def configure_logging(level: str = "info", fmt: str = "json") -> None:
    """Send this process's logs, and those of the libraries in it, to stderr.

    `fmt` is `json` (one object per line) or `text` (for people). Called once per process at start-up; calling it again
    replaces the earlier setting. Raises ValueError for an unknown level or format.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None or fmt not in {"json", "text"}:
        raise ValueError(f"no such log level or format: {level!r}, {fmt!r}; formats are json and text")
    renderers: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if fmt == "json":
        renderers += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        renderers.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared_processors(), processors=renderers)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; call as `get_logger(__name__)` at import time."""
    return structlog.stdlib.get_logger(name)


# A process that never configures logging (a test, a library user) logs through the standard library, warnings and up.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared_processors(),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=False,
)
