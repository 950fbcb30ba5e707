"""Structured logs: one JSON record per line on stderr, constant messages with keys, secrets masked."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

SECRET_KEYS = frozenset({"authorization", "token", "bearer_token", "password", "secret", "data", "string_data", "stringData"})
MASK = "***"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the values of keys that hold secrets, at any depth of dicts."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: Any) -> Any:
    if key in SECRET_KEYS:
        return MASK
    if isinstance(value, dict):
        return {inner: _redacted(inner, nested) for inner, nested in value.items()}
    return value


def configure_logging(level: str = "info", fmt: str = "json") -> None:
    """Set up structlog and the standard library's logging for a process. `fmt`: `json` or `console`."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer() if fmt == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if fmt == "json" else structlog.processors.StackInfoRenderer(),
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr,
                        format='{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}', force=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger bound to a module's name."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(logger=name))
