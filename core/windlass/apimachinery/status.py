"""The one place where errors become `Status` objects and `Status` objects become errors again."""

from collections.abc import Mapping
from typing import Any

from windlass import errors
from windlass.errors import ApiError, ErrorDetails, FieldError


def to_status(error: ApiError) -> dict[str, Any]:
    """Return the `Status` of an error."""
    details = error.details
    described: dict[str, Any] = {
        key: value
        for key, value in (("name", details.name), ("group", details.group), ("kind", details.kind), ("uid", details.uid))
        if value
    }
    if details.causes:
        described["causes"] = [
            {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in details.causes
        ]
    if details.retry_after_seconds:
        described["retryAfterSeconds"] = details.retry_after_seconds
    status: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "metadata": error.metadata, "status": "Failure",
        "message": error.message, "reason": error.reason, "code": error.code,
    }
    if described:
        status["details"] = described
    return status


def success(kind: str, group: str, name: str, uid: str) -> dict[str, Any]:
    """Return the `Status` of a finished deletion."""
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", kind), ("uid", uid)) if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _classes(cls: type[ApiError]) -> list[type[ApiError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _classes(child))]


_BY_REASON = {cls.reason: cls for cls in _classes(ApiError) if cls is not ApiError}
_BY_CODE: dict[int, type[ApiError]] = {}
for _cls in _BY_REASON.values():
    _BY_CODE.setdefault(_cls.code, _cls)
_BY_CODE[409] = errors.ConflictError
_BY_REASON["Gone"] = errors.GoneError


def from_status(status: Mapping[str, Any], code: int) -> ApiError:
    """Return the error that a `Status` (or any other body of an HTTP error) stands for."""
    details = status.get("details") or {}
    cls = _BY_REASON.get(str(status.get("reason", ""))) or _BY_CODE.get(code) or (
        errors.BadRequestError if 400 <= code < 500 else errors.InternalServerError
    )
    causes = tuple(
        FieldError(cause.get("field", ""), cause.get("message", ""), cause.get("reason", ""))
        for cause in details.get("causes", ())
    )
    return cls(
        str(status.get("message") or f"HTTP status {code}"),
        details=ErrorDetails(group=details.get("group", ""), kind=details.get("kind", ""), name=details.get("name", ""),
                             uid=details.get("uid", ""), causes=causes,
                             retry_after_seconds=int(details.get("retryAfterSeconds", 0))),
        metadata=status.get("metadata") or {},
    )


def invalid(kind: str, group: str, name: str, causes: list[FieldError]) -> errors.InvalidError:
    """Return the 422 that lists every field error, worded as kubectl users know it."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    qualified = f"{kind}.{group}" if group else kind
    return errors.InvalidError(
        f'{qualified} "{name}" is invalid: {listed}',
        details=ErrorDetails(group=group, kind=kind, name=name, causes=tuple(causes)),
    )
