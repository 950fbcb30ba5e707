"""Who is asking, and may they: authenticators and authorisers, asked in order."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.api.request import ApiRequest
from windlass.errors import ErrorDetails, ForbiddenError, UnauthorizedError
from windlass.plugin.interfaces.authn import (
    ANONYMOUS,
    Attributes,
    Authenticator,
    Authorizer,
    Credentials,
    Decision,
    ObjectReader,
    UserInfo,
)
from windlass.websocket import bearer_token

PEER_CERTIFICATE = "windlass.peercert"
"""Key in the ASGI scope's extensions under which the server puts `ssl.getpeercert()`."""
OPEN_PATHS = ("/healthz/", "/livez/", "/readyz/")


class Guard:
    """Both chains. No opinion at all means no."""

    def __init__(
        self, authenticators: Sequence[Authenticator], authorizers: Sequence[Authorizer], reader: ObjectReader
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._authorizers = tuple(authorizers)
        self._reader = reader

    def authenticate(self, request: ApiRequest) -> UserInfo:
        """Ask each authenticator in order. Raises 401, except for health, where nobody need say who they are."""
        try:
            return self._identify(request)
        except UnauthorizedError:
            if f"{request.path.text}/".startswith(OPEN_PATHS):
                return ANONYMOUS
            raise

    def _identify(self, request: ApiRequest) -> UserInfo:
        certificate: Mapping[str, Any] | None = (request.scope.get("extensions") or {}).get(PEER_CERTIFICATE)
        authorization = request.header(b"authorization")
        scheme, _, token = authorization.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        if request.is_websocket:
            given = given or bearer_token(request.scope.get("subprotocols") or ())
        return self.identify(Credentials(certificate or None, given))

    def identify(self, credentials: Credentials) -> UserInfo:
        """Return whose credentials these are. Raises 401."""
        for authenticator in self._authenticators:
            user = authenticator.authenticate(credentials)
            if user is not None:
                return user
        raise UnauthorizedError("Unauthorized")

    def authorize(self, request: ApiRequest, verb: str = "") -> None:
        """Ask each authoriser in order until one has an opinion of the request's verb, or of another. Raises 403."""
        path = request.path
        attributes = Attributes(
            request.user,
            verb or request.verb,
            path.group,
            path.version,
            path.plural,
            path.subresource,
            path.namespace,
            path.name,
            path.text,
            request.value("fieldSelector"),
        )
        decision = self.decide(attributes)
        if not decision.allowed:
            raise _forbidden(attributes, decision.reason)

    def decide(self, attributes: Attributes) -> Decision:
        """Return the first opinion of an authoriser; none at all is `allowed` None."""
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attributes, self._reader)
            if decision.allowed is not None:
                return decision
        return Decision(None)


def _forbidden(attributes: Attributes, reason: str) -> ForbiddenError:
    if not attributes.resource:
        message = f'forbidden: User "{attributes.user.name}" cannot {attributes.verb} path "{attributes.path}"'
        return ForbiddenError(f"{message}: {reason}" if reason else message)
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f' in the namespace "{attributes.namespace}"' if attributes.namespace else " at the cluster scope"
    qualified = f"{attributes.resource}.{attributes.group}" if attributes.group else attributes.resource
    named = f' "{attributes.name}"' if attributes.name else ""
    message = (
        f'{qualified}{named} is forbidden: User "{attributes.user.name}" cannot {attributes.verb} resource '
        f'"{resource}" in API group "{attributes.group}"{where}'
    )
    details = ErrorDetails(group=attributes.group, kind=attributes.resource, name=attributes.name)
    return ForbiddenError(f"{message}: {reason}" if reason else message, details=details)
