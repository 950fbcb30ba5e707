"""JSON Patch (RFC 6902, by the jsonpatch library) and JSON Merge Patch (RFC 7386), bounded and atomic."""

from typing import Any

import jsonpatch
import jsonpointer
import orjson

from windlass.apimachinery.jsonparse import MAX_DEPTH
from windlass.apimachinery.meta import deep_copy_json
from windlass.errors import BadRequestError, InvalidError, TooLargeError

MAX_OPERATIONS = 10_000
MAX_RESULT_BYTES = 3 * 1024 * 1024
MAX_COPIED_BYTES = MAX_RESULT_BYTES
"""How much all `copy` operations of one patch may copy together: ends doubling early, and copying in circles."""

_NOTHING = object()
_REFUSED = "the server rejected our request due to an error in our request"


def apply_json_patch(original: dict[str, Any], operations: Any) -> Any:
    """Apply a JSON Patch to a copy and return it; `original` and `operations` stay as they are.

    Raises TooLargeError above MAX_OPERATIONS, MAX_COPIED_BYTES or MAX_RESULT_BYTES, BadRequestError for a malformed
    patch, InvalidError for an operation that cannot be carried out (a failing `test`, a missing path).
    """
    if not isinstance(operations, list):
        raise BadRequestError("a JSON patch must be an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise TooLargeError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    document: Any = deep_copy_json(original)
    copied = 0
    for index, operation in enumerate(deep_copy_json(operations)):
        if not isinstance(operation, dict):
            raise BadRequestError(f"operation {index} of the JSON patch must be an object")
        step = operation
        if operation.get("op") == "copy" and (source := _source(document, operation)) is not _NOTHING:
            encoded = _encode(source)
            copied += len(encoded)
            if copied > MAX_COPIED_BYTES:
                raise TooLargeError(f"the copy operations of the JSON patch copy more than {MAX_COPIED_BYTES} bytes")
            step = {"op": "add", "path": operation["path"], "value": orjson.loads(encoded)}
        document = _apply_one(document, step, index)
    if len(_encode(document)) > MAX_RESULT_BYTES:
        raise TooLargeError(f"the result of the JSON patch exceeds {MAX_RESULT_BYTES} bytes")
    return document


def _source(document: Any, operation: dict[str, Any]) -> Any:
    """Return what a copy operation copies; _NOTHING when it is malformed or finds none, as jsonpatch then reports."""
    if not isinstance(operation.get("from"), str) or "path" not in operation:
        return _NOTHING
    try:
        return jsonpointer.resolve_pointer(document, operation["from"], _NOTHING)
    except (jsonpointer.JsonPointerException, TypeError):
        return _NOTHING


def _apply_one(document: Any, operation: dict[str, Any], index: int) -> Any:
    try:
        if operation.get("op") in ("add", "replace") and isinstance(operation.get("path"), str):
            return _place(document, operation)
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPatchTestFailed, jsonpointer.JsonPointerException) as error:
        raise InvalidError(f"{_REFUSED}: operation {index} of the JSON patch: {error}") from None
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise BadRequestError(f"operation {index} of the JSON patch is malformed: {error}") from None


def _place(document: Any, operation: dict[str, Any]) -> Any:
    """Add or replace a value that nobody else holds. jsonpatch would copy it once more, node by node in Python."""
    value, replaces = operation["value"], operation["op"] == "replace"
    parent, part = jsonpointer.JsonPointer(operation["path"]).to_last(document)
    if part is None:
        return value
    if isinstance(parent, list):
        if part == "-" and not replaces:
            part = len(parent)
        if not isinstance(part, int) or not 0 <= part < len(parent) + (not replaces):
            raise jsonpatch.JsonPatchConflict(f"there is no place {part!r} in a list of {len(parent)}")
        parent[part : part + replaces] = [value]
    elif isinstance(parent, dict):
        if replaces and part not in parent:
            raise jsonpatch.JsonPatchConflict(f"can't replace a non-existent object {part!r}")
        parent[part] = value
    else:
        raise jsonpatch.JsonPatchConflict(f"{part!r} lies in a value that is neither object nor list")
    return document


def _encode(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, RecursionError):
        raise TooLargeError(f"the JSON patch nests its result deeper than {MAX_DEPTH} levels") from None


def apply_merge_patch(original: Any, patch: Any) -> Any:
    """Return `original` with a merge patch applied; neither is changed. Raises TooLargeError for deep nesting."""
    return _merge(original, patch, 0)


def _merge(original: Any, patch: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise TooLargeError(f"the merge patch nests deeper than {MAX_DEPTH} levels")
    if not isinstance(patch, dict):
        return deep_copy_json(patch)
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value, depth + 1)
    return merged
