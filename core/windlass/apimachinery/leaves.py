"""Decoders of scalar fields: one closure per declared field."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from windlass.apimachinery import quantity
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
from windlass.errors import FieldError

if TYPE_CHECKING:
    from windlass.apimachinery.decode import Report

TYPE_INVALID = "FieldValueTypeInvalid"
LeafDecoder = Callable[[Any, str, "Report"], Any]
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def leaf_decoder(field: ApiField) -> LeafDecoder:
    """Compile the decoder of a scalar field."""
    if isinstance(field, Time | MicroTime):
        return _time
    if isinstance(field, Bytes):
        return _bytes
    if isinstance(field, Str):
        return _string(field)
    if isinstance(field, Int):
        return _integer(field)
    if isinstance(field, Bool):
        return _boolean
    if isinstance(field, Float):
        return _number
    if isinstance(field, Quantity):
        return _quantity
    if isinstance(field, IntOrString):
        return _int_or_string
    raise TypeError(f"{type(field).__name__} is not a scalar field")


def _mistyped(path: str, value: Any, wanted: str, report: "Report") -> None:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    shown = value if isinstance(value, int | float) or (isinstance(value, str) and len(value) < 100) else "..."
    report.errors.append(
        FieldError(path, f"Invalid value: {json.dumps(shown)}: must be {wanted}, not {names.get(type(value), 'null')}", TYPE_INVALID)
    )


def _bad(path: str, value: Any, message: str, report: "Report", reason: str = "FieldValueInvalid") -> None:
    report.errors.append(FieldError(path, f"Invalid value: {json.dumps(value, ensure_ascii=False)}: {message}", reason))


def _string(field: Str) -> LeafDecoder:
    allowed, pattern = frozenset(field.enum), field.pattern
    minimum, maximum = field.min_length, field.max_length
    plain = not allowed and pattern is None and not minimum and maximum is None

    def decode(value: Any, path: str, report: "Report") -> Any:
        if type(value) is not str:
            _mistyped(path, value, "a string", report)
            return ""
        if plain:
            return value
        if allowed and value not in allowed and (value or minimum or field.required):
            listed = ", ".join(json.dumps(item) for item in field.enum)
            report.errors.append(
                FieldError(path, f"Unsupported value: {json.dumps(value)}: supported values: {listed}", "FieldValueNotSupported")
            )
        elif pattern is not None and not pattern.fullmatch(value):
            _bad(path, value, f"must match the regex {pattern.pattern}", report)
        elif len(value) < minimum:
            report.errors.append(FieldError(path, "Required value", "FieldValueRequired"))
        elif maximum is not None and len(value) > maximum:
            report.errors.append(FieldError(path, f"Too long: may not be more than {maximum} bytes", "FieldValueTooLong"))
        return value

    return decode


def _integer(field: Int) -> LeafDecoder:
    low, high = -(1 << (field.bits - 1)), (1 << (field.bits - 1)) - 1
    minimum, maximum = field.minimum, field.maximum
    if minimum is not None and maximum is not None:
        message = f"must be between {minimum} and {maximum}, inclusive"
    elif minimum is not None:
        message = f"must be greater than or equal to {minimum}"
    else:
        message = f"must be less than or equal to {maximum}"

    def decode(value: Any, path: str, report: "Report") -> Any:
        if type(value) is not int:
            if type(value) is not float or not value.is_integer() or abs(value) >= 2**53:
                _mistyped(path, value, "an integer", report)
                return 0
            value = int(value)
        if not low <= value <= high:
            _mistyped(path, value, f"an integer of {field.bits} bits", report)
        elif (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            _bad(path, value, message, report)
        return value

    return decode


def _boolean(value: Any, path: str, report: "Report") -> Any:
    if type(value) is not bool:
        _mistyped(path, value, "a boolean", report)
        return False
    return value


def _number(value: Any, path: str, report: "Report") -> Any:
    if type(value) is not int and type(value) is not float:
        _mistyped(path, value, "a number", report)
        return 0
    return value


def _quantity(value: Any, path: str, report: "Report") -> Any:
    if type(value) is int or type(value) is float:
        value = json.dumps(value)
    elif type(value) is not str:
        _mistyped(path, value, "a quantity", report)
        return "0"
    try:
        return quantity.canonical(value)
    except ValueError as error:
        _bad(path, value[:100], str(error), report, TYPE_INVALID)
        return "0"


def _int_or_string(value: Any, path: str, report: "Report") -> Any:
    if type(value) is int:
        if not -(2**31) <= value < 2**31:
            _mistyped(path, value, "an integer of 32 bits or a string", report)
        return value
    if type(value) is not str:
        _mistyped(path, value, "an integer or a string", report)
        return 0
    return value


def _time(value: Any, path: str, report: "Report") -> Any:
    if type(value) is not str:
        _mistyped(path, value, "a time (RFC 3339)", report)
        return ""
    if value and not _TIME.fullmatch(value):
        _bad(path, value[:100], "must be a time in RFC 3339, such as 2006-01-02T15:04:05Z", report, TYPE_INVALID)
    return value


def _bytes(value: Any, path: str, report: "Report") -> Any:
    if type(value) is not str:
        _mistyped(path, value, "base64 text", report)
        return ""
    try:
        base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        report.errors.append(FieldError(path, "Invalid value: must be valid base64", TYPE_INVALID))
    return value
