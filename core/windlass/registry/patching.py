"""Patch: the three patch types as transformations of the current object."""

from typing import Any

from windlass.apimachinery.decode import decode
from windlass.apimachinery.patch import apply_json_patch, apply_merge_patch
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.apimachinery.strategic import apply_strategic_patch
from windlass.errors import BadRequestError, FieldError, UnsupportedMediaTypeError
from windlass.registry.decoding import check_kind, refuse_wrong_types, report_unknown
from windlass.registry.options import Patch, RequestContext
from windlass.registry.update import Transform

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
SUPPORTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def check_patch_type(media_type: str) -> None:
    """Refuse other patch types with 415."""
    if media_type not in SUPPORTED:
        raise UnsupportedMediaTypeError(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(SUPPORTED)}"
        )


def patch_transform(kind: KindDefinition, context: RequestContext, patch: Patch) -> Transform:
    """Return the transformation that a patch is. Raises 415 for other types."""
    check_patch_type(patch.media_type)

    def transform(old: Obj) -> tuple[Obj, list[FieldError]]:
        patched = check_kind(kind, apply_patch(kind.schema, old, patch))
        decoded = decode(kind.schema, patched)
        report_unknown(kind, decoded.unknown, list(patch.body.duplicates), context)
        refuse_wrong_types(kind, decoded.errors)
        decoded.obj.setdefault("metadata", {})
        return decoded.obj, list(decoded.errors)

    return transform


def sees_managers(patch: Patch) -> bool:
    """Say whether a patch may read or write the managed fields."""
    body = patch.body.value
    if isinstance(body, dict):
        metadata = body.get("metadata")
        return metadata is not None and (not isinstance(metadata, dict) or "managedFields" in metadata or "$patch" in metadata)
    if not isinstance(body, list):
        return True
    places = [step.get(key) for step in body if isinstance(step, dict) for key in ("path", "from")]
    return any(place in ("", "/metadata") or str(place).startswith("/metadata/managedFields") for place in places)


def apply_patch(schema: Any, original: Obj, patch: Patch) -> Any:
    """Apply a patch to any object of `schema`. Raises 400, 413 or 422."""
    body = patch.body.value
    if patch.media_type == JSON_PATCH:
        return apply_json_patch(original, body)
    if not isinstance(body, dict):
        raise BadRequestError(f"a patch of type {patch.media_type} must be a JSON object")
    if patch.media_type == MERGE_PATCH:
        return apply_merge_patch(original, body)
    return apply_strategic_patch(schema, original, body)
