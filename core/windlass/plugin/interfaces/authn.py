"""Authentication and authorisation: who are you, may you."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who is asking. `audiences` are those of the asked ones that the credential is good for; empty: it names none."""

    name: str
    groups: Sequence[str] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    audiences: Sequence[str] = ()


ANONYMOUS = UserInfo("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought: the peer certificate (as `ssl.getpeercert()` gives it, verified by TLS) and a token.

    `audiences`: whom the token has to be meant for; empty is the API server itself.
    """

    peer_certificate: Mapping[str, Any] | None = None
    bearer_token: str = ""
    audiences: Sequence[str] = ()


class Authenticator(Protocol):
    """Turns credentials into a user. Pure of I/O in the hot path: look up, never fetch."""

    def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """Return the user; None when these credentials are not of this authenticator's sort.

        Raises UnauthorizedError when they are of its sort but bad.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is being asked, for authorisers and audit. `verb` is Kubernetes' (get, list, watch, create, ...)."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """An authoriser's answer. `allowed` None: no opinion, ask the next; if all pass, the request is forbidden."""

    allowed: bool | None
    reason: str = ""


class ObjectReader(Protocol):
    """Synchronous reads of the API server's caches, for authorisers and admission (e.g. pods of a node)."""

    def get(self, resource: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return the newest cached object of `pods`, `namespaces`, ... (`plural.group` outside core), or None."""
        ...

    def list(self, resource: str, namespace: str = "") -> Sequence[Mapping[str, Any]]:
        """Return cached objects; '' means all namespaces."""
        ...


class Authorizer(Protocol):
    """Decides whether a request may proceed. Synchronous, no I/O but the reader's caches."""

    def authorize(self, attributes: Attributes, reader: ObjectReader) -> Decision:
        """Decide on one request."""
        ...
