"""Decoders of scalar fields: one closure per declared field."""

import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from windlass.apimachinery import field_errors, quantity
from windlass.apimachinery.report import Node, Report, path_of
from windlass.apimachinery.schema import (
    ApiField,
    Bool,
    Bytes,
    Float,
    Int,
    IntOrString,
    MicroTime,
    Quantity,
    Str,
    Time,
)
from windlass.clock import rfc3339, rfc3339_micro

LeafDecoder = Callable[[Any, Report, Node, Any], Any]
"""Takes a raw value (never null), the report, the place of the object that holds it, and its step from there."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS_LENGTH, _MICROS_LENGTH = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.000000Z")


def plain_type(field: ApiField) -> type | None:
    """Return the Python type of values that need no decoder at all, None when each value must be looked at."""
    if field.checks:
        return None
    if type(field) is Str and not (field.enum or field.pattern or field.min_length or field.max_length is not None):
        return str
    return bool if type(field) is Bool else None


def leaf_decoder(field: ApiField) -> LeafDecoder:
    """Compile the decoder of a scalar field. Raises TypeError for others."""
    if isinstance(field, Time | MicroTime):
        return _time(micro=isinstance(field, MicroTime))
    if isinstance(field, Bytes):
        return _bytes
    if isinstance(field, Str):
        return _string(field)
    if isinstance(field, Int):
        return _integer(field)
    for cls, decoder in ((Bool, _boolean), (Float, _number), (Quantity, _quantity), (IntOrString, _int_or_string)):
        if isinstance(field, cls):
            return decoder
    raise TypeError(f"{type(field).__name__} is not a scalar field")


def _string(field: Str) -> LeafDecoder:
    allowed = frozenset(field.enum)
    # An empty string is an absent one to Kubernetes: only a field that demands a value refuses it.
    accepted = allowed if field.required or field.min_length else allowed | {""}
    demanding = field.pattern is not None or field.min_length > 0 or field.max_length is not None

    def decode(value: Any, report: Report, node: Node, step: Any) -> Any:
        if type(value) is not str:
            return report.mistyped(value, (node, step), "string")
        if allowed and value not in accepted:
            path = path_of((node, step))
            report.add(field_errors.required(path) if not value else field_errors.not_supported(path, value, allowed))
        elif demanding:
            _check_text(field, value, report, (node, step))
        return value

    return decode


def _check_text(field: Str, value: str, report: Report, node: Node) -> None:
    if len(value) < field.min_length:
        detail = f"must be at least {field.min_length} characters long"
        path = path_of(node)
        report.add(field_errors.invalid(path, value, detail) if value else field_errors.required(path))
    elif field.max_length is not None and len(value) > field.max_length:
        report.add(field_errors.too_long(path_of(node), field.max_length))
    elif field.pattern is not None and (value or field.required) and not field.pattern.fullmatch(value):
        report.add(field_errors.invalid(path_of(node), value, f"must match the regex {field.pattern.pattern}"))


def _range_message(minimum: int | None, maximum: int | None) -> str:
    if minimum is not None and maximum is not None:
        return f"must be between {minimum} and {maximum}, inclusive"
    if minimum is not None:
        return f"must be greater than or equal to {minimum}"
    return f"must be less than or equal to {maximum}"


def _integer(field: Int) -> LeafDecoder:
    least, most, wanted = -(1 << (field.bits - 1)), (1 << (field.bits - 1)) - 1, f"int{field.bits}"
    low = least if field.minimum is None else field.minimum
    high = most if field.maximum is None else field.maximum
    message = _range_message(field.minimum, field.maximum)

    def decode(value: Any, report: Report, node: Node, step: Any) -> Any:
        if type(value) is not int or not least <= value <= most:
            return report.mistyped(value, (node, step), wanted)
        if not low <= value <= high:
            report.add(field_errors.invalid(path_of((node, step)), value, message))
        return value

    return decode


def _boolean(value: Any, report: Report, node: Node, step: Any) -> Any:
    return value if type(value) is bool else report.mistyped(value, (node, step), "bool")


def _number(value: Any, report: Report, node: Node, step: Any) -> Any:
    return value if type(value) in (int, float) else report.mistyped(value, (node, step), "float64")


def _quantity(value: Any, report: Report, node: Node, step: Any) -> Any:
    text = str(value) if type(value) in (int, float) else value
    if type(text) is not str:
        return report.mistyped(value, (node, step), "resource.Quantity")
    try:
        return quantity.canonical(text.strip())
    except quantity.QuantityError as error:
        return report.unreadable((node, step), f"Invalid value: {field_errors.shown(text[:100])}: {error}")


def _int_or_string(value: Any, report: Report, node: Node, step: Any) -> Any:
    if type(value) is str or (type(value) is int and -(2**31) <= value < 2**31):
        return value
    return report.mistyped(value, (node, step), "intstr")


def _time(*, micro: bool) -> LeafDecoder:
    """Keep times in UTC, in whole seconds or in microseconds, as Kubernetes' types print them."""
    length, printed = (_MICROS_LENGTH, rfc3339_micro) if micro else (_SECONDS_LENGTH, rfc3339)
    wanted = "v1.MicroTime" if micro else "v1.Time"

    def decode(value: Any, report: Report, node: Node, step: Any) -> Any:
        if type(value) is not str:
            return report.mistyped(value, (node, step), wanted)
        try:
            moment = datetime.fromisoformat(value.upper()) if _TIME.fullmatch(value) else None
            if moment is not None:
                return value if len(value) == length and value[-1] == "Z" else printed(moment)
        except (ValueError, OverflowError):
            pass  # no such day or hour: reported below, like any other bad text
        return report.unreadable(
            (node, step), f"Invalid value: {field_errors.shown(value[:100])}: must be a time as 2006-01-02T15:04:05Z"
        )

    return decode


def _bytes(value: Any, report: Report, node: Node, step: Any) -> Any:
    if type(value) is not str:
        return report.mistyped(value, (node, step), "[]uint8")
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        if text:
            binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        return report.unreadable((node, step), f"illegal base64 data: {error}")
    return text
