"""Strategic merge patch: a merge patch that knows which lists are maps by a key.

The schema says so (`patch_strategy`, `patch_merge_key`). Directives, as Kubernetes defines them: `$patch: replace|delete|
merge`, `$retainKeys`, `$setElementOrder/FIELD`, `$deleteFromPrimitiveList/FIELD`.
"""

from collections.abc import Sequence
from typing import Any

from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.schema import ApiField, ListOf, MapOf, Nested, ObjectSchema
from windlass.errors import BadRequestError

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
ELEMENT_ORDER = "$setElementOrder/"
DELETE_PRIMITIVE = "$deleteFromPrimitiveList/"
Schema = type[ObjectSchema]


def apply_strategic_patch(schema: Schema | None, original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `original` with the patch applied; neither is changed. Raises BadRequestError for a bad directive."""
    return _merge_object(schema, original, patch)


def _merge_object(schema: Schema | None, original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.get(DIRECTIVE, "merge")
    if directive == "replace":
        return _plain({key: value for key, value in patch.items() if key != DIRECTIVE})
    if directive == "delete":
        return {}
    if directive != "merge":
        raise BadRequestError(f"unknown {DIRECTIVE} directive {directive!r}; want replace, delete or merge")
    merged = _retained(original, patch)
    fields = schema.wire_fields() if schema is not None else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(fields.get(key), merged.get(key), value, patch.get(f"{ELEMENT_ORDER}{key}"))
    for key, value in patch.items():
        if key.startswith(DELETE_PRIMITIVE):
            _delete_primitives(merged, key.removeprefix(DELETE_PRIMITIVE), value)
        elif key.startswith(ELEMENT_ORDER) and key.removeprefix(ELEMENT_ORDER) not in patch:
            _reorder_only(merged, key.removeprefix(ELEMENT_ORDER), fields, value)
    return merged


def _retained(original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(original)
    if not isinstance(keys, list):
        raise BadRequestError(f"{RETAIN_KEYS} must be a list of field names")
    return {key: value for key, value in original.items() if key in keys}


def _merge_value(field: ApiField | None, original: Any, patch: Any, order: Any) -> Any:
    if isinstance(patch, dict):
        known = original if isinstance(original, dict) else {}
        return _merge_object(_schema_of(field), known, patch)
    if isinstance(patch, list) and isinstance(field, ListOf) and "merge" in field.patch_strategy:
        return _merge_list(field, original if isinstance(original, list) else [], patch, order)
    return _plain(patch)


def _schema_of(field: ApiField | None) -> Schema | None:
    if isinstance(field, Nested):
        return field.nested_schema
    if isinstance(field, MapOf) and isinstance(field.value, type):
        return field.value
    return None


def _merge_list(field: ListOf, original: list[Any], patch: list[Any], order: Any) -> list[Any]:
    if not field.patch_merge_key:
        merged = original + [item for item in patch if item not in original]
        return _by_order(merged, order, lambda item: item)
    key = field.patch_merge_key
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return _plain([item for item in patch if DIRECTIVE not in item])
    merged = list(original)
    schema = field.item if isinstance(field.item, type) else None
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise BadRequestError(f"map: {str(item)[:200]} does not contain declared merge key: {key}")
        _merge_item(schema, merged, item, key)
    return _by_order(merged, order, lambda item: item.get(key) if isinstance(item, dict) else None, key)


def _merge_item(schema: Schema | None, merged: list[Any], item: dict[str, Any], key: str) -> None:
    index = next((i for i, known in enumerate(merged) if isinstance(known, dict) and known.get(key) == item[key]), None)
    if item.get(DIRECTIVE) == "delete":
        if index is not None:
            del merged[index]
    elif index is None:
        merged.append(_merge_object(schema, {}, item))
    else:
        merged[index] = _merge_object(schema, merged[index], item)


def _by_order(items: list[Any], order: Any, identity: Any, key: str = "") -> list[Any]:
    """Sort the items that an element order names into that order; the others keep their place relative to neighbours."""
    if not isinstance(order, list):
        return items
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]
    position = {repr(value): index for index, value in enumerate(wanted)}
    named = sorted((item for item in items if repr(identity(item)) in position), key=lambda i: position[repr(identity(i))])
    others = [item for item in items if repr(identity(item)) not in position]
    return _interleave(items, named, others, lambda item: repr(identity(item)) in position)


def _interleave(items: Sequence[Any], named: list[Any], others: list[Any], is_named: Any) -> list[Any]:
    """Put server-only items (`others`) back before the named item that followed them."""
    result: list[Any] = []
    remaining = list(others)
    follows = {id(other): next((item for item in items[index + 1:] if is_named(item)), None)
               for index, other in enumerate(items) if not is_named(other)}
    for item in named:
        while remaining and follows[id(remaining[0])] is item:
            result.append(remaining.pop(0))
        result.append(item)
    return result + remaining


def _delete_primitives(merged: dict[str, Any], key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequestError(f"{DELETE_PRIMITIVE}{key} must be a list of values")
    if isinstance(merged.get(key), list):
        merged[key] = [item for item in merged[key] if item not in values]


def _reorder_only(merged: dict[str, Any], key: str, fields: dict[str, ApiField], order: Any) -> None:
    field = fields.get(key)
    if isinstance(merged.get(key), list) and isinstance(field, ListOf):
        merge_key = field.patch_merge_key
        merged[key] = _by_order(
            merged[key], order, lambda i: i.get(merge_key) if merge_key and isinstance(i, dict) else i, merge_key
        )


def _plain(value: Any) -> Any:
    """Copy a value that the patch brings, without directives."""
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            return {}
        return {key: _plain(nested) for key, nested in value.items() if not key.startswith("$") and nested is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else deep_copy_json(value)
