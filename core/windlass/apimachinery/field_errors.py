"""Kubernetes' words for what is wrong with a field; each function returns the sentence that kubectl prints."""

import json
from collections.abc import Iterable
from typing import Any

from windlass.errors import FieldError

TYPE_INVALID = "FieldValueTypeInvalid"
"""Reason of values whose JSON type does not fit: the registry answers these with 400, not 422."""

SHOWN_MAX = 1024


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


def invalid_each(path: str, value: Any, details: Iterable[str]) -> list[FieldError]:
    """Return one `invalid` for each broken rule."""
    return [invalid(path, value, detail) for detail in details]


def immutable(path: str, new: Any, old: Any) -> list[FieldError]:
    """Return an error when a field that may never change has changed."""
    return [] if new == old else [invalid(path, new, "field is immutable")]
