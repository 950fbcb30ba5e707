"""Checks for schema declarations: `Str("...", checks=(checks.dns_label,))`.

Each takes a value and its path and returns what is wrong, in Kubernetes' words. The values have the right JSON type
already. Empty strings pass, as an absent field does; demand presence with `required=True, min_length=1`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import invalid, too_long
from windlass.apimachinery.schema import FieldCheck
from windlass.errors import FieldError

TOTAL_ANNOTATIONS_MAX = 256 * 1024


def _text_check(rule: Callable[[str], list[str]], doc: str) -> FieldCheck:
    def check(value: Any, path: str) -> Sequence[FieldError]:
        if not value:
            return ()
        return [invalid(path, value, message) for message in rule(value)]

    check.__doc__ = doc
    return check


dns_label = _text_check(names.is_dns1123_label, "Check a DNS-1123 label.")
dns_subdomain = _text_check(names.is_dns1123_subdomain, "Check a DNS-1123 subdomain.")
wildcard_dns_subdomain = _text_check(names.is_wildcard_dns1123_subdomain, "Check `*.` and a DNS-1123 subdomain.")
dns1035_label = _text_check(names.is_dns1035_label, "Check a DNS-1035 label.")
qualified_name = _text_check(names.is_qualified_name, "Check a qualified name: a label key, a finalizer, a resource.")
label_value = _text_check(names.is_label_value, "Check a label value.")
env_var_name = _text_check(names.is_env_var_name, "Check the name of an environment variable.")
config_key = _text_check(names.is_config_key, "Check a key of a ConfigMap or Secret.")
c_identifier = _text_check(names.is_c_identifier, "Check a C identifier.")
port_name = _text_check(names.is_port_name, "Check a port's name.")
path_segment = _text_check(names.is_path_segment, "Check that a name fits into one segment of a URL path.")
ip_address = _text_check(names.is_ip_address, "Check an IP address.")
cidr = _text_check(names.is_cidr, "Check an address with prefix length.")
label_key = qualified_name


def port(value: Any, path: str) -> Sequence[FieldError]:
    """Check a port's number."""
    return [invalid(path, value, message) for message in names.is_port_number(value)]


def port_or_name(value: Any, path: str) -> Sequence[FieldError]:
    """Check an IntOrString that names a port."""
    return port(value, path) if isinstance(value, int) else port_name(value, path)


def non_negative(value: Any, path: str) -> Sequence[FieldError]:
    """Check that a number is not below zero."""
    return [invalid(path, value, "must be greater than or equal to 0")] if value < 0 else ()


def positive(value: Any, path: str) -> Sequence[FieldError]:
    """Check that a number is above zero."""
    return [invalid(path, value, "must be greater than 0")] if value <= 0 else ()


def in_range(minimum: int, maximum: int) -> FieldCheck:
    """Return a check that a number lies between two bounds, both included."""

    def check(value: Any, path: str) -> Sequence[FieldError]:
        if minimum <= value <= maximum:
            return ()
        return [invalid(path, value, f"must be between {minimum} and {maximum}, inclusive")]

    return check


def max_bytes(limit: int) -> FieldCheck:
    """Return a check that a text has at most `limit` bytes in UTF-8."""

    def check(value: Any, path: str) -> Sequence[FieldError]:
        return [too_long(path, limit)] if len(value.encode("utf-8", "surrogatepass")) > limit else ()

    return check


def absolute_path(value: Any, path: str) -> Sequence[FieldError]:
    """Check that a path starts at the root."""
    if not value or value.startswith("/"):
        return ()
    return [invalid(path, value, "must be an absolute path")]


def no_backsteps(value: Any, path: str) -> Sequence[FieldError]:
    """Check that a path has no `..` element."""
    if ".." in value.split("/"):
        return [invalid(path, value, "must not contain '..'")]
    return ()


def local_descending_path(value: Any, path: str) -> Sequence[FieldError]:
    """Check that a path is relative and never steps back."""
    if value.startswith("/"):
        return [invalid(path, value, "must be a relative path")]
    return no_backsteps(value, path)


def labels(value: Mapping[str, str], path: str) -> Sequence[FieldError]:
    """Check all keys and values of a label map."""
    found: list[FieldError] = []
    for key, text in value.items():
        found += [invalid(path, key, message) for message in names.is_qualified_name(key)]
        found += [invalid(path, text, message) for message in names.is_label_value(text)]
    return found


def annotations(value: Mapping[str, str], path: str) -> Sequence[FieldError]:
    """Check all keys of an annotation map and its total size."""
    found: list[FieldError] = []
    for key in value:
        found += [invalid(path, key, message) for message in names.is_qualified_name(key.lower())]
    total = sum(len(key.encode()) + len(text.encode("utf-8", "surrogatepass")) for key, text in value.items())
    return [*found, too_long(path, TOTAL_ANNOTATIONS_MAX)] if total > TOTAL_ANNOTATIONS_MAX else found
