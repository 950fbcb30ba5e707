"""Checks that schema declarations put on single fields: each takes a value and its path and returns what is wrong."""

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.schema import FieldCheck
from windlass.errors import FieldError


def invalid(path: str, value: Any, message: str) -> FieldError:
    """Return the error for a bad value, worded as Kubernetes does."""
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float | bool) else json.dumps(value)
    return FieldError(path, f"Invalid value: {shown}: {message}")


def required(path: str, message: str = "") -> FieldError:
    """Return the error for a missing value."""
    return FieldError(path, f"Required value: {message}" if message else "Required value", "FieldValueRequired")


def forbidden(path: str, message: str) -> FieldError:
    """Return the error for a field that may not be set or changed."""
    return FieldError(path, f"Forbidden: {message}", "FieldValueForbidden")


def duplicate(path: str, value: Any) -> FieldError:
    """Return the error for a value that stands twice."""
    return FieldError(path, f"Duplicate value: {json.dumps(value)}", "FieldValueDuplicate")


def not_supported(path: str, value: Any, supported: Sequence[str]) -> FieldError:
    """Return the error for a value outside a closed set."""
    listed = ", ".join(json.dumps(item) for item in supported)
    return FieldError(path, f"Unsupported value: {json.dumps(value)}: supported values: {listed}", "FieldValueNotSupported")


def _of(rule: Callable[[str], list[str]]) -> FieldCheck:
    def check(value: Any, path: str) -> Sequence[FieldError]:
        return [invalid(path, value, message) for message in rule(value)] if isinstance(value, str) and value else ()

    return check


dns_label: FieldCheck = _of(names.is_dns1123_label)
dns_subdomain: FieldCheck = _of(names.is_dns1123_subdomain)
dns1035_label: FieldCheck = _of(names.is_dns1035_label)
qualified_name: FieldCheck = _of(names.is_qualified_name)
label_value: FieldCheck = _of(names.is_label_value)
env_var_name: FieldCheck = _of(names.is_env_var_name)
config_key: FieldCheck = _of(names.is_config_key)
port_name: FieldCheck = _of(names.is_port_name)


def _ip_messages(value: str) -> list[str]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def _cidr_messages(value: str) -> list[str]:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return []


def _absolute_messages(value: str) -> list[str]:
    return [] if value.startswith("/") else ["must be an absolute path"]


ip_address: FieldCheck = _of(_ip_messages)
cidr: FieldCheck = _of(_cidr_messages)
absolute_path: FieldCheck = _of(_absolute_messages)


def port(value: Any, path: str) -> Sequence[FieldError]:
    """Check a port number."""
    if isinstance(value, int) and not 1 <= value <= 65535:
        return [invalid(path, value, "must be between 1 and 65535, inclusive")]
    return ()


def non_negative(value: Any, path: str) -> Sequence[FieldError]:
    """Check a count."""
    if isinstance(value, int) and value < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    return ()
