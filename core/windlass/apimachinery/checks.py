"""Kubernetes' words for what is wrong with a field, and checks for schema declarations that use them.

`Str("...", checks=(checks.dns_label,))`: each check takes a value and its path and returns what is wrong, in Kubernetes' words. The values have the right JSON type
already. Empty strings pass, as an absent field does; demand presence with `required=True, min_length=1`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.schema import FieldCheck
from windlass.errors import FieldError

TYPE_INVALID = "FieldValueTypeInvalid"
"""Reason of values whose JSON type does not fit: the registry answers these with 400, not 422."""

SHOWN_MAX = 1024

TOTAL_ANNOTATIONS_MAX = 256 * 1024


def shown(value: Any) -> str:
    """Return a value as it stands in messages: compact JSON, cut when long."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "..."


def _with_detail(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def required(path: str, detail: str = "") -> FieldError:
    """Say that a field must be given."""
    return FieldError(path, _with_detail("Required value", detail), "FieldValueRequired")


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """Say that a value breaks a rule."""
    return FieldError(path, _with_detail(f"Invalid value: {shown(value)}", detail), "FieldValueInvalid")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """Say that a value is none of those that exist."""
    choices = ", ".join(shown(choice) for choice in sorted(supported))
    return FieldError(path, f"Unsupported value: {shown(value)}: supported values: {choices}", "FieldValueNotSupported")


def forbidden(path: str, detail: str) -> FieldError:
    """Say that a field may not be set, or not be changed, under the circumstances."""
    return FieldError(path, _with_detail("Forbidden", detail), "FieldValueForbidden")


def duplicate(path: str, value: Any) -> FieldError:
    """Say that a value must be unique and is not."""
    return FieldError(path, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def not_found(path: str, value: Any) -> FieldError:
    """Say that a value refers to something that is not there."""
    return FieldError(path, f"Not found: {shown(value)}", "FieldValueNotFound")


def too_long(path: str, limit: int) -> FieldError:
    """Say that a value has more bytes than allowed."""
    return FieldError(path, f"Too long: may not be more than {limit} bytes", "FieldValueTooLong")


def too_many(path: str, actual: int, limit: int) -> FieldError:
    """Say that a list has more items than allowed."""
    noun = "item" if limit == 1 else "items"
    return FieldError(path, f"Too many: {actual}: must have at most {limit} {noun}", "FieldValueTooMany")


def wrong_type(path: str, message: str) -> FieldError:
    """Say that a value cannot be read as its field's type."""
    return FieldError(path, message, TYPE_INVALID)


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
