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
        if operation.get("op") == "copy":
            copied += _weigh(_source(document, operation))
            if copied > MAX_COPIED_BYTES:
                raise TooLargeError(f"the copy operations of the JSON patch copy more than {MAX_COPIED_BYTES} bytes")
        document = _apply_one(document, operation, index)
    if _weigh(document) > MAX_RESULT_BYTES:
        raise TooLargeError(f"the result of the JSON patch exceeds {MAX_RESULT_BYTES} bytes")
    return document


def _source(document: Any, operation: dict[str, Any]) -> Any:
    """Return what a copy operation copies; None when there is nothing, which the operation itself then reports."""
    try:
        return jsonpointer.resolve_pointer(document, str(operation.get("from")), None)
    except (jsonpointer.JsonPointerException, TypeError):
        return None


def _apply_one(document: Any, operation: dict[str, Any], index: int) -> Any:
    try:
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPatchTestFailed, jsonpointer.JsonPointerException) as error:
        raise InvalidError(f"{_REFUSED}: operation {index} of the JSON patch: {error}") from None
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise BadRequestError(f"operation {index} of the JSON patch is malformed: {error}") from None


def _weigh(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
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
