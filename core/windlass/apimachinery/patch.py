"""JSON Patch (RFC 6902, by the jsonpatch library) and JSON Merge Patch (RFC 7386), bounded and atomic."""

from typing import Any

import jsonpatch
import jsonpointer
import orjson

from windlass.apimachinery.meta import deep_copy_json
from windlass.errors import BadRequestError, InvalidError, TooLargeError

MAX_OPERATIONS = 10_000
MAX_RESULT_BYTES = 3 * 1024 * 1024
_WEIGH_EVERY = 64


def apply_json_patch(original: dict[str, Any], operations: Any) -> Any:
    """Apply a JSON Patch to a copy and return it.

    Raises TooLargeError above MAX_OPERATIONS or MAX_RESULT_BYTES, BadRequestError for a malformed patch, InvalidError for
    an operation that cannot be carried out (a failing `test`, a missing path).
    """
    if not isinstance(operations, list):
        raise BadRequestError("a JSON patch must be an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise TooLargeError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    document: Any = deep_copy_json(original)
    for index, operation in enumerate(operations):
        document = _apply_one(document, operation, index)
        copies = isinstance(operation, dict) and operation.get("op") == "copy"
        if copies or index % _WEIGH_EVERY == 0:
            _weigh(document)
    _weigh(document)
    return document


def _apply_one(document: Any, operation: Any, index: int) -> Any:
    if not isinstance(operation, dict):
        raise BadRequestError(f"operation {index} of the JSON patch must be an object")
    try:
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except jsonpatch.JsonPatchTestFailed as error:
        raise InvalidError(f"the server rejected our request due to an error in our request: operation {index}: {error}") from None
    except (jsonpatch.JsonPatchConflict, jsonpointer.JsonPointerException) as error:
        raise InvalidError(f"the server rejected our request due to an error in our request: operation {index}: {error}") from None
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise BadRequestError(f"operation {index} of the JSON patch is malformed: {error}") from None


def _weigh(document: Any) -> None:
    """Refuse a document that a patch has blown up."""
    try:
        size = len(orjson.dumps(document))
    except (orjson.JSONEncodeError, RecursionError):
        raise TooLargeError("the JSON patch nests its result too deeply") from None
    if size > MAX_RESULT_BYTES:
        raise TooLargeError(f"the result of the JSON patch exceeds {MAX_RESULT_BYTES} bytes")


def apply_merge_patch(original: Any, patch: Any) -> Any:
    """Return `original` with a merge patch applied; neither is changed. Depth is bounded by the body's parser."""
    if not isinstance(patch, dict):
        return deep_copy_json(patch)
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged
