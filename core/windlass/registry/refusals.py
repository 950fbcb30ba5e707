"""The registry's refusals, in Kubernetes' words. kubectl and controllers match on some of them."""

from collections.abc import Sequence

from windlass.apimachinery.scheme import KindDefinition
from windlass.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    ErrorDetails,
    FieldError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    RequestTimeoutError,
)

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def _details(kind: KindDefinition, name: str) -> ErrorDetails:
    return ErrorDetails(group=kind.group, kind=kind.plural, name=name)


def not_found(kind: KindDefinition, name: str) -> NotFoundError:
    """Refuse for want of an object of that name."""
    return NotFoundError(f'{kind.resource.qualified} "{name}" not found', details=_details(kind, name))


def already_exists(kind: KindDefinition, name: str) -> AlreadyExistsError:
    """Refuse a create that met an object of that name."""
    return AlreadyExistsError(f'{kind.resource.qualified} "{name}" already exists', details=_details(kind, name))


def conflict(kind: KindDefinition, name: str, why: str = MODIFIED) -> ConflictError:
    """Refuse a write to an object that is not what the caller took it for."""
    return ConflictError(
        f'Operation cannot be fulfilled on {kind.resource.qualified} "{name}": {why}', details=_details(kind, name)
    )


def forbidden(kind: KindDefinition, name: str, why: str) -> ForbiddenError:
    """Refuse what nobody may, whatever their rights."""
    return ForbiddenError(f'{kind.resource.qualified} "{name}" is forbidden: {why}', details=_details(kind, name))


def invalid(kind: KindDefinition, name: str, causes: Sequence[FieldError]) -> InvalidError:
    """Refuse wrong fields, listing all of them."""
    listed = list(dict.fromkeys(f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes))
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = ErrorDetails(group=kind.group, kind=kind.kind, name=name, causes=tuple(dict.fromkeys(causes)))
    return InvalidError(f'{qualified} "{name}" is invalid: {text}', details=details)


def cannot_handle(kind: KindDefinition, why: str, causes: Sequence[FieldError] = ()) -> BadRequestError:
    """Refuse a body that is no object of this kind."""
    return BadRequestError(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}',
        details=ErrorDetails(causes=tuple(causes)),
    )


def expired(message: str, continue_: str = "") -> GoneError:
    """Refuse to reach back so far; `continue_` is a fresh token for an inconsistent rest of a list."""
    return GoneError(message, metadata={"continue": continue_} if continue_ else None)


def too_large_resource_version(asked: int, current: int) -> RequestTimeoutError:
    """Refuse a caller who has seen a future that this server has not reached within its deadline."""
    return RequestTimeoutError(
        f"Too large resource version: {asked}, current: {current}",
        details=ErrorDetails(
            causes=(FieldError("", "Too large resource version", "ResourceVersionTooLarge"),), retry_after_seconds=1
        ),
    )
