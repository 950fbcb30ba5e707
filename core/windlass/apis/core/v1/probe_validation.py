"""Checks of probes and lifecycle hooks."""

import re
from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import forbidden, invalid, invalid_each, required
from windlass.errors import FieldError

HEADER_NAME = re.compile(r"[-A-Za-z0-9]+")
HEADER_NAME_RULE = ("a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
                    "regex used for validation is '[-A-Za-z0-9]+')")
PORT_RANGE = "must be between 1 and 65535, inclusive"
PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def validate_port(port: Any, path: str) -> list[FieldError]:
    """Check the number or name of a port."""
    if isinstance(port, str):
        return invalid_each(path, port, names.is_port_name(port))
    if port is None:
        return [required(path)]
    return [] if 1 <= port <= 65535 else [invalid(path, port, PORT_RANGE)]


def validate_probes(container: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check the three probes of a container."""
    found = []
    for field in PROBES:
        probe = container.get(field)
        if probe is None:
            continue
        item = f"{path}.{field}"
        found += _validate_handler(probe, PROBE_HANDLERS, item)
        if field != "readinessProbe" and probe.get("successThreshold", 1) not in (0, 1):
            found.append(invalid(f"{item}.successThreshold", probe["successThreshold"], "must be 1"))
        found += _validate_probe_grace(field, probe.get("terminationGracePeriodSeconds"), item)
    return found


def _validate_probe_grace(field: str, seconds: int | None, path: str) -> list[FieldError]:
    if seconds is None:
        return []
    if field == "readinessProbe":
        return [forbidden(f"{path}.terminationGracePeriodSeconds", "must not be set for readinessProbes")]
    if seconds <= 0:
        return [invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")]
    return []


def validate_lifecycle(lifecycle: Mapping[str, Any] | None, grace_seconds: int, path: str) -> list[FieldError]:
    """Check a container's hooks; `grace_seconds` bounds how long preStop may sleep."""
    found = []
    for field in ("postStart", "preStop"):
        handler = (lifecycle or {}).get(field)
        if handler is None:
            continue
        found += _validate_handler(handler, LIFECYCLE_HANDLERS, f"{path}.{field}")
        seconds = (handler.get("sleep") or {}).get("seconds")
        if seconds is not None and not 1 <= seconds <= grace_seconds:
            found.append(invalid(f"{path}.{field}.sleep.seconds", seconds,
                                 "must be greater than 0 and less than terminationGracePeriodSeconds "
                                 f"({grace_seconds})"))
    return found


def _validate_handler(handler: Mapping[str, Any], kinds: tuple[str, ...], path: str) -> list[FieldError]:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    found = [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]
    return found + _validate_action(given[0], handler[given[0]], f"{path}.{given[0]}")


def _validate_action(kind: str, action: Mapping[str, Any], path: str) -> list[FieldError]:
    if kind == "exec":
        return [] if action.get("command") else [required(f"{path}.command")]
    if kind == "sleep":
        return []
    found = validate_port(action.get("port"), f"{path}.port")
    if kind == "httpGet":
        if not action.get("path"):
            found.append(required(f"{path}.path"))
        for index, header in enumerate(action.get("httpHeaders") or []):
            name = header.get("name") or ""
            if not HEADER_NAME.fullmatch(name):
                found.append(invalid(f"{path}.httpHeaders[{index}].name", name, HEADER_NAME_RULE))
    return found
