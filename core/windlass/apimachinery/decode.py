"""Decode an object by its schema in one pass: check, default, drop what is unknown, and say what was wrong.

A schema is compiled once to closures, one per field; `docs/decisions/0001-compiled-decoder.md` says why and what it
gains. The rules are Kubernetes': null counts as absent, defaults are filled in only where their object is present,
unknown fields are reported, a wrong JSON type is an error of the whole body (`FieldValueTypeInvalid`).
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from windlass.apimachinery.leaves import TYPE_INVALID, leaf_decoder
from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.schema import AnyValue, ApiField, ListOf, MapOf, Nested, ObjectSchema
from windlass.errors import FieldError

__all__ = ["TYPE_INVALID", "Decoded", "Report", "decode"]
MAX_ERRORS = 100


class Report:
    """What a decoding found on its way."""

    __slots__ = ("errors", "unknown")

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.unknown: list[str] = []


Decoder = Callable[[Any, str, Report], Any]
"""Takes a raw value, its path and the report; returns the decoded value."""


class Decoded(NamedTuple):
    """A decoded object, new through and through. `unknown` are the paths of fields that no schema declares."""

    obj: dict[str, Any]
    unknown: list[str]
    errors: list[FieldError]


def decode(schema: type[ObjectSchema], raw: dict[str, Any]) -> Decoded:
    """Decode an object; `raw` stays as it is."""
    report = Report()
    obj = _object_decoder(schema)(raw, "", report)
    return Decoded(obj if isinstance(obj, dict) else {}, report.unknown, report.errors[:MAX_ERRORS])


def type_error(path: str, wanted: str, value: Any) -> FieldError:
    """Return the error for a value of the wrong JSON type."""
    return FieldError(path, f"Invalid value: {json.dumps(_short(value))}: must be {wanted}, not {_describe(value)}", TYPE_INVALID)


def _short(value: Any) -> Any:
    return value if isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) < 100) else "..."


def _describe(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def field_decoder(field: ApiField) -> Decoder:
    """Compile the decoder of one field's values (never null)."""
    if isinstance(field, Nested):
        return _with_checks(field, _lazy_object(field))
    if isinstance(field, ListOf):
        return _with_checks(field, _list_decoder(field))
    if isinstance(field, MapOf):
        return _with_checks(field, _map_decoder(field))
    if isinstance(field, AnyValue):
        return _with_checks(field, lambda value, _path, _report: deep_copy_json(value))
    return _with_checks(field, leaf_decoder(field))


def _with_checks(field: ApiField, inner: Decoder) -> Decoder:
    checks = field.checks
    if not checks:
        return inner

    def decode_checked(value: Any, path: str, report: Report) -> Any:
        before = len(report.errors)
        decoded = inner(value, path, report)
        if len(report.errors) == before:
            for check in checks:
                report.errors.extend(check(decoded, path))
        return decoded

    return decode_checked


def _lazy_object(field: Nested) -> Decoder:
    """Resolve a nested schema at first use, so that schemas may refer to themselves."""
    resolved: list[Decoder] = []

    def decode_nested(value: Any, path: str, report: Report) -> Any:
        if not resolved:
            resolved.append(_object_decoder(field.nested_schema))
        return resolved[0](value, path, report)

    return decode_nested


def _item_decoder(item: "type[ObjectSchema] | ApiField") -> Decoder:
    return _object_decoder(item) if isinstance(item, type) else field_decoder(item)


def _list_decoder(field: ListOf) -> Decoder:
    resolved: list[Decoder] = []
    minimum, maximum = field.min_items, field.max_items

    def decode_list(value: Any, path: str, report: Report) -> Any:
        if type(value) is not list:
            report.errors.append(type_error(path, "an array", value))
            return []
        if not resolved:
            resolved.append(_item_decoder(field.item))
        decoder = resolved[0]
        if len(value) < minimum:
            report.errors.append(FieldError(path, "Required value", "FieldValueRequired"))
        if maximum is not None and len(value) > maximum:
            report.errors.append(FieldError(path, f"Too many: {len(value)}: must have at most {maximum} items", "FieldValueTooMany"))
            return []
        return [decoder(item, f"{path}[{index}]", report) for index, item in enumerate(value) if item is not None]

    return decode_list


def _map_decoder(field: MapOf) -> Decoder:
    resolved: list[Decoder] = []
    key_checks = field.key_checks

    def decode_map(value: Any, path: str, report: Report) -> Any:
        if type(value) is not dict:
            report.errors.append(type_error(path, "an object", value))
            return {}
        if not resolved:
            resolved.append(_item_decoder(field.value))
        decoder = resolved[0]
        for check in key_checks:
            for key in value:
                report.errors.extend(check(key, path))
        return {key: decoder(item, f"{path}[{key}]", report) for key, item in value.items() if item is not None}

    return decode_map


class _FieldPlan(NamedTuple):
    name: str
    decoder: Decoder
    required: bool
    default: Any


@lru_cache(maxsize=None)
def _object_decoder(schema: type[ObjectSchema]) -> Decoder:
    plans = {
        name: _FieldPlan(name, field_decoder(field), field.required, field.default_value)
        for name, field in schema.wire_fields().items()
    }
    demanding = tuple(plan for plan in plans.values() if plan.required or plan.default is not None)
    object_checks = tuple(schema.object_checks)

    def decode_object(value: Any, path: str, report: Report) -> Any:
        if type(value) is not dict:
            report.errors.append(type_error(path, "an object", value))
            return {}
        dotted = f"{path}." if path else ""
        decoded: dict[str, Any] = {}
        for key, item in value.items():
            plan = plans.get(key)
            if plan is None:
                report.unknown.append(dotted + key)
            elif item is not None:
                decoded[key] = plan.decoder(item, dotted + key, report)
        for plan in demanding:
            if plan.name not in decoded:
                _supply(plan, decoded, dotted, report)
        for check in object_checks:
            report.errors.extend(check(decoded, path))
        return decoded

    return decode_object


def _supply(plan: _FieldPlan, decoded: dict[str, Any], dotted: str, report: Report) -> None:
    if plan.default is not None:
        decoded[plan.name] = deep_copy_json(plan.default)
    else:
        report.errors.append(FieldError(dotted + plan.name, "Required value", "FieldValueRequired"))
