"""Strategic merge patch: a merge patch that knows which lists are maps by a key.

The schema says so (`patch_strategy`, `patch_merge_key`). Directives, as Kubernetes defines them: `$patch: replace`,
`delete` or `merge`, `$retainKeys`, `$setElementOrder/FIELD`, `$deleteFromPrimitiveList/FIELD`.
"""

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
        return {key: _plain(value) for key, value in patch.items() if not key.startswith("$") and value is not None}
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
    strategies = getattr(field, "patch_strategy", "").split(",")
    if isinstance(patch, dict) and "replace" not in strategies:
        known = original if isinstance(original, dict) else {}
        return _merge_object(_schema_of(field), known, patch)
    if isinstance(patch, list) and isinstance(field, ListOf) and "merge" in strategies:
        return _merge_list(field, original if isinstance(original, list) else [], patch, order)
    return _plain(patch)


def _schema_of(field: ApiField | None) -> Schema | None:
    if isinstance(field, Nested):
        return field.nested_schema
    if isinstance(field, MapOf) and isinstance(field.value, type):
        return field.value
    return None


def _merge_list(field: ListOf, original: list[Any], patch: list[Any], order: Any) -> list[Any]:
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
        return [_plain(item) for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]
    if not field.patch_merge_key:
        known = {repr(item) for item in original}
        added = {repr(item): item for item in patch if repr(item) not in known}
        return _by_order([*original, *added.values()], order, "")
    merged = _merge_by_key(field, original, patch)
    return _by_order(merged, order, field.patch_merge_key)


def _merge_by_key(field: ListOf, original: list[Any], patch: list[Any]) -> list[Any]:
    key, schema = field.patch_merge_key, field.item if isinstance(field.item, type) else None
    merged: dict[str, Any] = {_identity(item, key, position): item for position, item in enumerate(original)}
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise BadRequestError(f"map: {str(item)[:200]} does not contain declared merge key: {key}")
        identity = repr(item[key])
        if item.get(DIRECTIVE) == "delete":
            merged.pop(identity, None)
        else:
            merged[identity] = _merge_object(schema, merged.get(identity, {}), item)
    return list(merged.values())


def _identity(item: Any, key: str, position: int) -> str:
    """Return what tells an item from the others; an item without the key is only itself."""
    return repr(item[key]) if isinstance(item, dict) and key in item else f"#{position}"


def _name(item: Any, key: str) -> str:
    return repr(item.get(key) if key and isinstance(item, dict) else item)


def _by_order(items: list[Any], order: Any, key: str) -> list[Any]:
    """Put the items that an element order names into that order; each other one stays before the named one after it."""
    if not isinstance(order, list):
        return items
    wanted = {_name(entry, key): rank for rank, entry in enumerate(order)}
    ranks = [wanted.get(_name(item, key)) for item in items]
    groups: dict[int, list[Any]] = {}
    waiting: list[Any] = []
    for item, rank in zip(items, ranks, strict=True):
        waiting.append(item)
        if rank is not None:
            groups.setdefault(rank, []).extend(waiting)
            waiting = []
    ordered = [item for rank in sorted(groups) for item in groups[rank]]
    return ordered + waiting


def _delete_primitives(merged: dict[str, Any], key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequestError(f"{DELETE_PRIMITIVE}{key} must be a list of values")
    if isinstance(merged.get(key), list):
        merged[key] = [item for item in merged[key] if item not in values]


def _reorder_only(merged: dict[str, Any], key: str, fields: dict[str, ApiField], order: Any) -> None:
    field = fields.get(key)
    if isinstance(merged.get(key), list) and isinstance(field, ListOf):
        merged[key] = _by_order(merged[key], order, field.patch_merge_key)


def _plain(value: Any) -> Any:
    """Copy a value that the patch brings, without directives."""
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            return {}
        return {key: _plain(nested) for key, nested in value.items() if not key.startswith("$") and nested is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else deep_copy_json(value)
