"""From a parsed body to a checked object: whose kind it is, unknown and repeated fields, types, defaults."""

from typing import Any

from windlass.apimachinery.decode import decode
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.errors import BadRequestError, ErrorDetails, FieldError
from windlass.registry.options import Body, RequestContext
from windlass.registry.refusals import cannot_handle

WRONG_TYPE = "FieldValueTypeInvalid"


def check_kind(kind: KindDefinition, value: Any) -> Obj:
    """Return the body as an object of this kind; a missing kind or apiVersion is the endpoint's. Raises 400."""
    if not isinstance(value, dict):
        raise BadRequestError(f"the request body must be a JSON object, not {_json_type(value)}")
    said_version, said_kind = value.get("apiVersion") or kind.api_version, value.get("kind") or kind.kind
    if said_version != kind.api_version:
        raise BadRequestError(
            f"the API version in the data ({said_version}) does not match the expected API version ({kind.api_version})"
        )
    if said_kind != kind.kind:
        raise BadRequestError(f"the kind in the data ({said_kind}) does not match the expected kind ({kind.kind})")
    if not isinstance(value.get("metadata", {}) or {}, dict):
        raise cannot_handle(kind, "metadata must be an object", [FieldError("metadata", "must be an object", WRONG_TYPE)])
    return {"apiVersion": kind.api_version, "kind": kind.kind,
            **{key: item for key, item in value.items() if key not in ("apiVersion", "kind")}}


def decode_body(kind: KindDefinition, body: Body, context: RequestContext) -> tuple[Obj, list[FieldError]]:
    """Decode a body as `fieldValidation` says; return a private object and what its fields have wrong.

    Unknown and repeated fields are refused (Strict, 400), named in warnings (Warn) or dropped (Ignore). A field of a
    wrong type is a 400, as the object cannot be understood.
    """
    decoded = decode(kind.schema, check_kind(kind, body.value))
    report_unknown(kind, decoded.unknown, list(body.duplicates), context)
    refuse_wrong_types(kind, decoded.errors)
    return decoded.obj, list(decoded.errors)


def report_unknown(kind: KindDefinition, unknown: list[str], duplicates: list[str], context: RequestContext) -> None:
    """Refuse or warn of unknown and repeated fields."""
    found = [f'unknown field "{path}"' for path in unknown] + [f'duplicate field "{path}"' for path in duplicates]
    if not found or context.field_validation == "Ignore":
        return
    if context.field_validation == "Strict":
        raise cannot_handle(kind, f"strict decoding error: {', '.join(found)}")
    context.warnings += found


def refuse_wrong_types(kind: KindDefinition, errors: list[FieldError]) -> None:
    """Raise 400 when some value has a JSON type that its field cannot hold."""
    wrong = [error for error in errors if error.reason == WRONG_TYPE]
    if wrong:
        raise cannot_handle(kind, "; ".join(f"{error.field}: {error.message}" for error in wrong), wrong)


def redecode(kind: KindDefinition, obj: Obj) -> tuple[Obj, list[FieldError]]:
    """Default and check again what admission or a patch has changed; unknown fields are dropped."""
    decoded = decode(kind.schema, obj)
    refuse_wrong_types(kind, decoded.errors)
    return decoded.obj, list(decoded.errors)


def decode_plain(schema: Any, value: Any, what: str) -> Obj:
    """Decode an object that is not stored (Eviction, Binding, Scale, DeleteOptions). Raises 400."""
    if not isinstance(value, dict):
        raise BadRequestError(f"the request body must be a JSON object ({what}), not {_json_type(value)}")
    decoded = decode(schema, value)
    if decoded.errors:
        text = "; ".join(f"{error.field}: {error.message}" for error in decoded.errors)
        raise BadRequestError(f"{what}: {text}", details=ErrorDetails(causes=tuple(decoded.errors)))
    return decoded.obj


def _json_type(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")
