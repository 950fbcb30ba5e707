"""Who writes, as the managed fields name it, and what else the options of a patch say."""

from windlass.api.request import ApiRequest
from windlass.apimachinery.apply.managers import MAX_MANAGER
from windlass.errors import ErrorDetails, FieldError, InvalidError

UNKNOWN = "unknown"


def manager_of(request: ApiRequest) -> str:
    """Return the field manager: the one that the request names, else the first word of its user agent. Raises 422."""
    named = request.value("fieldManager")
    if named:
        _check(named, {"POST": "CreateOptions", "PATCH": "PatchOptions"}.get(request.method, "UpdateOptions"))
        return named
    agent = request.header(b"user-agent").split("/", 1)[0]
    return "".join(char for char in agent[:MAX_MANAGER] if char.isprintable()) or UNKNOWN


def check_patch_options(request: ApiRequest, *, applies: bool) -> bool:
    """Return whether an apply takes fields from their owners. Raises 422 for options that do not fit the patch."""
    force = request.flag("force")
    if applies and not request.value("fieldManager"):
        raise _invalid("PatchOptions", "fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
    if force is not None and not applies:
        raise _invalid(
            "PatchOptions", "force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden"
        )
    return bool(force)


def _check(manager: str, options: str) -> None:
    if len(manager) > MAX_MANAGER:
        raise _invalid(
            options, "fieldManager", f"Too long: may not be more than {MAX_MANAGER} bytes", "FieldValueTooLong"
        )
    for at, char in enumerate(manager):
        if not char.isprintable():
            raise _invalid(
                options, "fieldManager", f"Invalid value: {manager!a}: invalid character {char!a} "
                f"(at position {at}): should only contain printable characters", "FieldValueInvalid",
            )


def _invalid(options: str, field: str, message: str, reason: str) -> InvalidError:
    details = ErrorDetails("meta.k8s.io", options, causes=(FieldError(field, message, reason),))
    return InvalidError(f'{options}.meta.k8s.io "" is invalid: {field}: {message}', details=details)
