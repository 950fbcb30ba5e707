"""Decode an object by its schema in one pass: check, default, drop what is unknown, and say what was wrong.

A schema is compiled once to closures, one per field; `docs/decisions/0001-compiled-decoder.md` says why and what it
gains. The rules are Kubernetes': null counts as absent, defaults are filled in only where their object is present,
unknown fields are reported and left out, a value of the wrong JSON type is an error of the whole body
(`FieldValueTypeInvalid`) and its field is left out too.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from windlass.apimachinery import field_errors
from windlass.apimachinery.field_errors import TYPE_INVALID
from windlass.apimachinery.leaves import leaf_decoder, plain_type
from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.report import DROP, Node, Report, path_of
from windlass.apimachinery.schema import AnyValue, ApiField, Bool, Int, ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.errors import FieldError

__all__ = ["TYPE_INVALID", "Decoded", "decode", "decode_field"]

Decoder = Callable[[Any, Report, Node, Any], Any]
ObjectDecoder = Callable[[Any, Report, Node], Any]


class Decoded(NamedTuple):
    """A decoded object, new through and through. `unknown` are the paths of fields that no schema declares."""

    obj: dict[str, Any]
    unknown: list[str]
    errors: list[FieldError]


def decode(schema: type[ObjectSchema], raw: Mapping[str, Any]) -> Decoded:
    """Decode an object; `raw` stays as it is. Never raises for bad data: `errors` has it."""
    report = Report(_type_name(schema))
    obj = _object_decoder(schema)(raw, report, None)
    return Decoded({} if obj is DROP else obj, report.unknown, report.errors)


def decode_field(field: ApiField, value: Any, step: str = "") -> tuple[Any, list[FieldError]]:
    """Decode a value of one field, not null; `step` begins the paths in errors. For marshmallow's own load."""
    decoder: Decoder | None = field.__dict__.get("compiled")
    if decoder is None:
        decoder = field.__dict__["compiled"] = field_decoder(field)
    report = Report(type(field).__name__)
    return decoder(value, report, None, step), report.errors


def _type_name(schema: type[ObjectSchema]) -> str:
    return schema.__name__.removesuffix("Schema")


def field_decoder(field: ApiField) -> Decoder:
    """Compile the decoder of one field's values (never null)."""
    if isinstance(field, Nested):
        return _with_checks(field, _nested_decoder(field))
    if isinstance(field, ListOf):
        return _with_checks(field, _list_decoder(field))
    if isinstance(field, MapOf):
        return _with_checks(field, _map_decoder(field))
    if isinstance(field, AnyValue):
        return _with_checks(field, lambda value, _report, _node, _step: deep_copy_json(value))
    return _with_checks(field, leaf_decoder(field))


def _with_checks(field: ApiField, inner: Decoder) -> Decoder:
    checks = field.checks
    if not checks:
        return inner

    def decode_checked(value: Any, report: Report, node: Node, step: Any) -> Any:
        before = len(report.errors)
        decoded = inner(value, report, node, step)
        if len(report.errors) == before:
            path = path_of((node, step))
            for check in checks:
                for error in check(decoded, path):
                    report.add(error)
        return decoded

    return decode_checked


def _nested_decoder(field: Nested) -> Decoder:
    """Resolve the schema at first use, so that schemas may refer to themselves."""
    resolved: list[ObjectDecoder] = []

    def decode_nested(value: Any, report: Report, node: Node, step: Any) -> Any:
        if not resolved:
            resolved.append(_object_decoder(field.nested_schema))
        return resolved[0](value, report, (node, step))

    return decode_nested


def _item_decoder(item: "type[ObjectSchema] | ApiField") -> Decoder:
    return _nested_decoder(Nested("", item)) if isinstance(item, type) else field_decoder(item)


def _item_type(item: "type[ObjectSchema] | ApiField") -> str:
    return f"v1.{_type_name(item)}" if isinstance(item, type) else item.openapi_type


def _zero(item: "type[ObjectSchema] | ApiField") -> Any:
    """Return what a null stands for as an item or a map's value; DROP when it is best left out."""
    if isinstance(item, Str):
        return ""
    if isinstance(item, Bool):
        return False
    return 0 if isinstance(item, Int) else DROP


def _list_decoder(field: ListOf) -> Decoder:
    decode_item, zero = _item_decoder(field.item), _zero(field.item)
    plain = None if isinstance(field.item, type) else plain_type(field.item)
    minimum, maximum, wanted = field.min_items, field.max_items, f"[]{_item_type(field.item)}"

    def decode_list(value: Any, report: Report, node: Node, step: Any) -> Any:
        if type(value) is not list:
            return report.mistyped(value, (node, step), wanted)
        if len(value) < minimum:
            report.add(field_errors.required(path_of((node, step))))
        if maximum is not None and len(value) > maximum:
            report.add(field_errors.too_many(path_of((node, step)), len(value), maximum))
            return DROP
        here, decoded = (node, step), []
        for index, item in enumerate(value):
            if type(item) is not plain:
                item = zero if item is None else decode_item(item, report, here, index)  # noqa: PLW2901 - hot loop
                if item is DROP:
                    continue
            decoded.append(item)
        return decoded

    return decode_list


def _map_decoder(field: MapOf) -> Decoder:
    decode_value, zero = _item_decoder(field.value), _zero(field.value)
    plain = None if isinstance(field.value, type) else plain_type(field.value)
    key_checks, wanted = field.key_checks, f"map[string]{_item_type(field.value)}"

    def decode_map(value: Any, report: Report, node: Node, step: Any) -> Any:
        if type(value) is not dict:
            return report.mistyped(value, (node, step), wanted)
        here, decoded = (node, step), {}
        for key, item in value.items():
            if type(item) is not plain:
                item = zero if item is None else decode_value(item, report, here, (key,))  # noqa: PLW2901 - hot loop
                if item is DROP:
                    continue
            decoded[key] = item
        if key_checks:
            for error in [error for check in key_checks for key in value for error in check(key, path_of(here))]:
                report.add(error)
        return decoded

    return decode_map


class _Demand(NamedTuple):
    """A field that must not be absent: it has a default, or is required."""

    name: str
    default: Any
    copied: bool


@cache
def _object_decoder(schema: type[ObjectSchema]) -> ObjectDecoder:  # noqa: C901 - one closure, for speed
    fields = schema.wire_fields()
    plain = {name: found for name, field in fields.items() if (found := plain_type(field)) is not None}
    decoders = {name: field_decoder(field) for name, field in fields.items()}
    demands = tuple(
        _Demand(name, field.default_value, isinstance(field.default_value, dict | list))
        for name, field in fields.items()
        if field.required or field.default_value is not None
    )
    checks, wanted = tuple(schema.object_checks), f"v1.{_type_name(schema)}"
    plain_of, decoder_of = plain.get, decoders.get

    def decode_object(value: Any, report: Report, node: Node) -> Any:  # noqa: C901 - hot loop
        if type(value) is not dict:
            return report.mistyped(value, node, wanted)
        before = len(report.errors)
        decoded: dict[str, Any] = {}
        for key, item in value.items():
            if plain_of(key) is type(item):
                decoded[key] = item
                continue
            decoder = decoder_of(key)
            if decoder is None:
                report.add_unknown((node, key))
            elif item is not None:
                result = decoder(item, report, node, key)
                if result is not DROP:
                    decoded[key] = result
        for demand in demands:
            if demand[0] not in decoded:
                _supply(demand, decoded, value, report, node)
        if checks and len(report.errors) == before:
            for error in [error for check in checks for error in check(decoded, path_of(node))]:
                report.add(error)
        return decoded

    return decode_object


def _supply(demand: _Demand, decoded: dict[str, Any], raw: Mapping[str, Any], report: Report, node: Node) -> None:
    if raw.get(demand.name) is not None:
        return  # it was there and was refused: that error is enough
    if demand.default is None:
        report.add(field_errors.required(path_of((node, demand.name))))
    else:
        decoded[demand.name] = deep_copy_json(demand.default) if demand.copied else demand.default
