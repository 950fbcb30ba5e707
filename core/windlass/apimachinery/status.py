"""The one place where errors become `Status` objects and `Status` objects become errors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass import errors
from windlass.errors import ApiError, ErrorDetails, FieldError

_BY_CODE_ONLY = {410: errors.GoneError, 409: errors.ConflictError, 500: errors.InternalServerError}


def _subclasses(cls: type[ApiError]) -> Iterator[type[ApiError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def _error_class(reason: str, code: int) -> type[ApiError]:
    known = list(_subclasses(ApiError))
    for cls in known:
        if cls.reason == reason:
            return cls
    if reason == "Gone":
        return errors.GoneError
    if code in _BY_CODE_ONLY:
        return _BY_CODE_ONLY[code]
    for cls in known:
        if cls.code == code:
            return cls
    return errors.BadRequestError if 400 <= code < 500 else errors.InternalServerError


def _cause(cause: FieldError) -> dict[str, str]:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def to_status(error: ApiError) -> dict[str, Any]:
    """Return the failure `Status` that tells a client of the error."""
    found = error.details
    details: dict[str, Any] = {
        key: value
        for key, value in (
            ("name", found.name),
            ("group", found.group),
            ("kind", found.kind),
            ("uid", found.uid),
            ("causes", [_cause(cause) for cause in found.causes]),
            ("retryAfterSeconds", found.retry_after_seconds),
        )
        if value
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": dict(error.metadata),
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "details": details,
        "code": error.code,
    }


def success(*, group: str = "", kind: str = "", name: str = "", uid: str = "") -> dict[str, Any]:
    """Return the `Status` of a deletion that left no object behind; `kind` is the plural, as Kubernetes has it."""
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", kind), ("uid", uid)) if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def from_status(status: Mapping[str, Any], code: int) -> ApiError:
    """Return the error that a failure `Status` (or any other body of that HTTP code) tells of."""
    details = status.get("details") or {}
    code = int(status.get("code") or code)
    causes = tuple(
        FieldError(cause.get("field", ""), cause.get("message", ""), cause.get("reason", ""))
        for cause in details.get("causes") or ()
    )
    return _error_class(str(status.get("reason") or ""), code)(
        str(status.get("message") or f"the server answered {code}"),
        details=ErrorDetails(
            group=details.get("group", ""),
            kind=details.get("kind", ""),
            name=details.get("name", ""),
            uid=details.get("uid", ""),
            causes=causes,
            retry_after_seconds=details.get("retryAfterSeconds") or 0,
        ),
        metadata=dict(status.get("metadata") or {}),
    )


def invalid(kind: str, group: str, name: str, causes: Sequence[FieldError]) -> errors.InvalidError:
    """Return the 422 that lists every field error, worded as kubectl users know it."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    qualified = f"{kind}.{group}" if group else kind
    return errors.InvalidError(
        f'{qualified} "{name}" is invalid: {listed}',
        details=ErrorDetails(group=group, kind=kind, name=name, causes=tuple(causes)),
    )
