"""The error taxonomy of the whole product.

Every refusal that can reach a client is an `ApiError`: it knows its HTTP code and its Kubernetes reason, and
`windlass.apimachinery.status` is the one place that maps it to and from a `Status` object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

NAMESPACE_TERMINATING = "NamespaceTerminating"
"""Cause of a create that was refused because the namespace is on its way out."""


class WindlassError(Exception):
    """Root of every error that Windlass raises on purpose."""


class ConfigError(WindlassError):
    """A configuration file, flag or environment variable says something impossible; names it and how to mend it."""


class PluginError(WindlassError):
    """A plugin broke its contract; the message names the plugin and, in a conflict, both sides."""


class RuntimeDriverError(WindlassError):
    """A container runtime could not do what was asked. `reason` is what users see in the container's state."""

    def __init__(self, message: str, *, reason: str = "RuntimeError") -> None:
        super().__init__(message)
        self.reason = reason


class NetworkDriverError(WindlassError):
    """A network driver could not attach, check or detach a sandbox."""


class VolumeDriverError(WindlassError):
    """A volume driver could not do what was asked. `reason` is the event's reason that users know."""

    def __init__(self, message: str, *, reason: str = "FailedMount") -> None:
        super().__init__(message)
        self.reason = reason


class BackupError(WindlassError):
    """A backup cannot be taken, read or restored; the message says why and what helps."""


class CompactedError(WindlassError):
    """A watcher asked for history that the store no longer keeps: list again."""


class StoreUnavailableError(WindlassError):
    """The store cannot be reached within the deadline; nothing is known to have been written."""


class UnknownOutcomeError(WindlassError):
    """A commit was sent, its answer was lost, and the store could not settle in time whether it happened."""


class RevisionMismatchError(WindlassError):
    """A conditional store operation met another revision than the expected one (or none at all)."""


class KeyExistsError(WindlassError):
    """A store `create` met an existing key."""


class GuardError(WindlassError):
    """A guarded commit found the guard at another revision: the writer has lost its leadership."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    `reason` is a Kubernetes cause: FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, FieldValueForbidden,
    FieldValueDuplicate, FieldValueTooLong, FieldValueTypeInvalid. `field` is a path such as
    `spec.containers[0].image`. `message` is the full sentence as kubectl prints it after the path.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"


@dataclass(slots=True)
class ErrorDetails:
    """What a `Status` carries in `details` beside the causes."""

    group: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    causes: Sequence[FieldError] = field(default_factory=tuple)
    retry_after_seconds: int = 0


class ApiError(WindlassError):
    """A request was refused. Subclasses fix `code` and `reason`; raise those, never this one."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self, message: str, *, details: ErrorDetails | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or ErrorDetails()
        self.metadata = metadata or {}

    def has_cause(self, reason: str) -> bool:
        """Say whether one of the causes has that reason."""
        return any(cause.reason == reason for cause in self.details.causes)

    @property
    def namespace_is_going(self) -> bool:
        """True when the request was refused because its namespace is being deleted, or has been: no failure, an end."""
        gone = self.code == 404 and self.details.kind == "namespaces"
        return gone or self.has_cause(NAMESPACE_TERMINATING)


class BadRequestError(ApiError):
    """400: the request makes no sense as it stands."""

    code = 400
    reason = "BadRequest"


class UnauthorizedError(ApiError):
    """401: nobody knows who is asking."""

    code = 401
    reason = "Unauthorized"


class ForbiddenError(ApiError):
    """403: the caller is known and may not."""

    code = 403
    reason = "Forbidden"


class NotFoundError(ApiError):
    """404: no such object or resource."""

    code = 404
    reason = "NotFound"


class MethodNotAllowedError(ApiError):
    """405: the resource does not support the verb."""

    code = 405
    reason = "MethodNotAllowed"


class NotAcceptableError(ApiError):
    """406: no offered representation fits the Accept header."""

    code = 406
    reason = "NotAcceptable"


class AlreadyExistsError(ApiError):
    """409: a create met an object of the same name."""

    code = 409
    reason = "AlreadyExists"


class ConflictError(ApiError):
    """409: the object has changed since the caller read it, or a precondition failed."""

    code = 409
    reason = "Conflict"


class GoneError(ApiError):
    """410: the resourceVersion or continue token is older than the kept history."""

    code = 410
    reason = "Expired"


class TooLargeError(ApiError):
    """413: the body, the object or the patch exceeds a stated bound."""

    code = 413
    reason = "RequestEntityTooLarge"


class UnsupportedMediaTypeError(ApiError):
    """415: the body is in a format that this endpoint does not read."""

    code = 415
    reason = "UnsupportedMediaType"


class InvalidError(ApiError):
    """422: well formed, but some fields are wrong; `details.causes` lists them all."""

    code = 422
    reason = "Invalid"


class TooManyRequestsError(ApiError):
    """429: try again after `details.retry_after_seconds`."""

    code = 429
    reason = "TooManyRequests"


class InternalServerError(ApiError):
    """500: a bug of ours or of a plugin."""


class UnavailableError(ApiError):
    """503: the store or a backend cannot be reached now; nothing was written."""

    code = 503
    reason = "ServiceUnavailable"


class RequestTimeoutError(ApiError):
    """504: the outcome is not known within the deadline."""

    code = 504
    reason = "Timeout"
