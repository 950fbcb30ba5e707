"""From the schemas of kinds to shapes: `list_type`, `list_map_keys` and `map_type` say who can own what."""

from functools import cache
from typing import Any

from windlass.apimachinery.apply.shapes import FieldsShape, ItemsShape, KeysShape, SetShape, Typed
from windlass.apimachinery.apply.steps import FIELD
from windlass.apimachinery.schema import ApiField, ListOf, MapOf, Nested, ObjectSchema


@cache
def shape_of(schema: type[ObjectSchema]) -> Typed:
    """Compile a schema."""
    if schema.openapi_map_type == "atomic":
        return None
    return _Lazy(schema)


def field_shape(field: ApiField) -> Typed:
    """Return the shape of one field's values."""
    if isinstance(field, Nested):
        return shape_of(field.nested_schema)
    if isinstance(field, MapOf):
        return None if field.map_type == "atomic" else KeysShape(_item_shape(field.value))
    if isinstance(field, ListOf):
        return _list_shape(field)
    return None


def _item_shape(item: type[ObjectSchema] | ApiField) -> Typed:
    return shape_of(item) if isinstance(item, type) else field_shape(item)


def _list_shape(field: ListOf) -> Typed:
    if field.list_type == "set":
        return SetShape()
    if field.list_type != "map":
        return None
    defaults: dict[str, Any] = {}
    if isinstance(field.item, type):
        declared = field.item.wire_fields()
        defaults = {name: declared[name].default_value for name in field.list_map_keys if name in declared}
    return ItemsShape({name: defaults.get(name) for name in field.list_map_keys}, _item_shape(field.item))


class _Lazy(FieldsShape):
    """The fields of a schema, each compiled at first use: schemas may refer to themselves."""

    def __init__(self, schema: type[ObjectSchema]) -> None:
        super().__init__({})
        self._fields = schema.wire_fields()

    def typed(self, name: str) -> tuple[str, Typed] | None:
        """Return the step to a field and its shape."""
        known = self._steps.get(name)
        if known is None and name in self._fields:
            known = self._steps[name] = (FIELD + name, field_shape(self._fields[name]))
        return known


UNOWNED_METADATA = frozenset((
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "selfLink", "generation", "deletionTimestamp",
    "deletionGracePeriodSeconds", "managedFields",
))
"""Metadata that is the server's, or says which object it is: nobody owns it."""


@cache
def object_shape(schema: type[ObjectSchema], subresource: str, *, has_status: bool) -> FieldsShape:
    """Return the shape of a kind's objects as one endpoint writes them: what the endpoint leaves alone is nobody's.

    The status is written through `status` alone, where there is such an endpoint; that one writes annotations beside.
    """
    fields: dict[str, Typed] = {name: field_shape(field) for name, field in schema.wire_fields().items()}
    for name in ("apiVersion", "kind", "metadata"):
        fields.pop(name, None)
    if subresource == "status":
        fields = {name: shape for name, shape in fields.items() if name == "status"}
    elif has_status:
        fields.pop("status", None)
    metadata = schema.wire_fields().get("metadata")
    if isinstance(metadata, Nested):
        parts = {
            name: field_shape(field) for name, field in metadata.nested_schema.wire_fields().items()
            if name not in UNOWNED_METADATA and (subresource != "status" or name == "annotations")
        }
        fields["metadata"] = FieldsShape(parts)
    return FieldsShape(fields)
