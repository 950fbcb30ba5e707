"""Admission: after authorisation, before the store. First all mutate, then all validate."""

from dataclasses import dataclass
from typing import Any, Protocol

from windlass.plugin.interfaces.authn import ObjectReader, UserInfo


@dataclass(slots=True)
class AdmissionRequest:
    """One write on its way. `obj` is a private copy (None on DELETE), `old` is what is stored (None on CREATE)."""

    operation: str
    group: str
    version: str
    kind: str
    resource: str
    subresource: str
    namespace: str
    name: str
    obj: dict[str, Any] | None
    old: dict[str, Any] | None
    user: UserInfo
    dry_run: bool
    reader: ObjectReader
    warnings: list[str]


class AdmissionPlugin(Protocol):
    """An admission plugin. Both methods are synchronous and cheap; raise an ApiError to refuse.

    One that changes objects only to what their schema and defaulting would leave as it is may say so with a class
    attribute `keeps_schema = True`: the API server then spares a second decoding. It counts for built-in plugins only.
    """

    name: str

    def admit(self, request: AdmissionRequest) -> None:
        """Change `request.obj` in place."""
        ...

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse by raising ForbiddenError or InvalidError; change nothing."""
        ...
