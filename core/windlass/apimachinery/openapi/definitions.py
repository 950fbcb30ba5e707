"""Schemas to OpenAPI definitions."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from windlass.apimachinery.openapi.meta_types import INT_OR_STRING, LIST_META, MICRO_TIME, QUANTITY, TIME
from windlass.apimachinery.schema import (
    AnyValue,
    ApiField,
    Int,
    IntOrString,
    ListOf,
    MapOf,
    MicroTime,
    Nested,
    ObjectSchema,
    Quantity,
    Str,
    Time,
)
from windlass.apimachinery.scheme import KindDefinition

Json = dict[str, Any]

_NAMED_SCALARS: tuple[tuple[type[ApiField], str], ...] = (
    (MicroTime, MICRO_TIME),
    (Time, TIME),
    (Quantity, QUANTITY),
    (IntOrString, INT_OR_STRING),
)


class Flavor(Enum):
    """The two dialects: where definitions live, and how a reference carries a description."""

    V2 = "#/definitions/"
    V3 = "#/components/schemas/"


def definition_name(schema: type[ObjectSchema], kind: KindDefinition | None = None) -> str:
    """Return the published name of a schema, `io.k8s.api.core.v1.Pod`.

    A third party's schema without `openapi_name` and `openapi_prefix` is named after its kind's group and version, or
    after its module.
    """
    if schema.openapi_name:
        return schema.openapi_name
    plain = schema.__name__.removesuffix("Schema")
    if schema.openapi_prefix:
        return f"{schema.openapi_prefix}.{plain}"
    if kind is not None and kind.group:
        return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])
    return f"{schema.__module__}.{plain}"


def gvk(kind: KindDefinition, suffix: str = "") -> Json:
    """Return `x-kubernetes-group-version-kind` of a kind or, with a suffix, of its list."""
    return {"group": kind.group, "kind": kind.kind + suffix, "version": kind.version}


class Definitions:
    """Collects the definitions of kinds and of all that they refer to."""

    def __init__(self, flavor: Flavor) -> None:
        self._flavor = flavor
        self.found: dict[str, Json] = {}

    def reference(self, name: str) -> Json:
        """Return a reference to a definition."""
        return {"$ref": self._flavor.value + name}

    def add_kinds(self, kinds: Iterable[KindDefinition]) -> None:
        """Add each kind, its list and everything below them."""
        for kind in kinds:
            name = self.add(kind.schema, kind)
            self.found[name].setdefault("x-kubernetes-group-version-kind", []).append(gvk(kind))
            if kind.schema.__doc__:
                # Only kinds: kubectl explain prints a type's description below that of the field which holds it.
                self.found[name]["description"] = " ".join(kind.schema.__doc__.split())
            self.found[f"{name}List"] = self._list_definition(kind, name)

    def add(self, schema: type[ObjectSchema], kind: KindDefinition | None = None) -> str:
        """Add a schema, once; return its name."""
        name = definition_name(schema, kind)
        if name in self.found:
            return name
        definition: Json = {"type": "object"}
        self.found[name] = definition  # before its fields: they may refer back
        fields = schema.wire_fields()
        definition["properties"] = {key: self._property(field) for key, field in fields.items()}
        required = sorted(key for key, field in fields.items() if field.published_required)
        if required:
            definition["required"] = required
        if schema.openapi_map_type:
            definition["x-kubernetes-map-type"] = schema.openapi_map_type
        return name

    def _list_definition(self, kind: KindDefinition, name: str) -> Json:
        return {
            "type": "object",
            "description": f"A list of {kind.kind} objects.",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string", "description": "Group and version that the list is written in."},
                "items": {"type": "array", "items": self.reference(name), "description": "The objects."},
                "kind": {"type": "string", "description": "Name of the list's kind."},
                "metadata": self._described(self.reference(LIST_META), "Metadata of the list."),
            },
            "x-kubernetes-group-version-kind": [gvk(kind, "List")],
        }

    def _described(self, reference: Json, description: str) -> Json:
        if self._flavor is Flavor.V2:
            return {**reference, "description": description}
        return {"allOf": [reference], "description": description}

    def _property(self, field: ApiField) -> Json:
        made = self._value(field)
        made = (
            self._described(made, field.description) if "$ref" in made else {**made, "description": field.description}
        )
        if field.default_value is not None:
            made["default"] = field.default_value
        strategy = getattr(field, "patch_strategy", "")
        if strategy:
            made["x-kubernetes-patch-strategy"] = strategy
        if isinstance(field, ListOf):
            made.update(_list_extensions(field))
        if isinstance(field, MapOf) and field.map_type:
            made["x-kubernetes-map-type"] = field.map_type
        return made

    def _value(self, field: ApiField) -> Json:
        """Return what a field's values look like, without the field's own description."""
        for cls, name in _NAMED_SCALARS:
            if isinstance(field, cls):
                return self.reference(name)
        if isinstance(field, Nested):
            return self.reference(self.add(field.nested_schema))
        if isinstance(field, ListOf):
            return _bounded(
                {"type": "array", "items": self._item(field.item)},
                minItems=field.min_items or None,
                maxItems=field.max_items,
            )
        if isinstance(field, MapOf):
            return {"type": "object", "additionalProperties": self._item(field.value)}
        return _scalar(field)

    def _item(self, item: "type[ObjectSchema] | ApiField") -> Json:
        if isinstance(item, type):
            return self.reference(self.add(item))
        made = self._value(item)
        return made if "$ref" in made else {**made, **({"default": ""} if made == {"type": "string"} else {})}


def _scalar(field: ApiField) -> Json:
    made: Json = {"type": field.openapi_type}
    if field.openapi_format:
        made["format"] = field.openapi_format
    if isinstance(field, AnyValue):
        return made
    if isinstance(field, Int):
        made["format"] = f"int{field.bits}"
        return _bounded(made, minimum=field.minimum, maximum=field.maximum)
    if isinstance(field, Str):
        pattern = f"^(?:{field.pattern.pattern})$" if field.pattern else None
        enum = list(field.enum) if field.enum else None
        return _bounded(
            made, enum=enum, pattern=pattern, minLength=field.min_length or None, maxLength=field.max_length
        )
    return made


def _bounded(made: Json, **bounds: Any) -> Json:
    return made | {key: value for key, value in bounds.items() if value is not None}


def _list_extensions(field: ListOf) -> Mapping[str, Any]:
    made: Json = {"x-kubernetes-list-type": field.list_type}
    if field.patch_merge_key:
        made["x-kubernetes-patch-merge-key"] = field.patch_merge_key
    if field.list_map_keys:
        made["x-kubernetes-list-map-keys"] = list(field.list_map_keys)
    return made
