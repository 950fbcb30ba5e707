"""A service account's token proves who a pod is, as long as pod, account and whatever else it is bound to are there."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.auth.service_accounts.tokens import CLAIMS, Claims, NotOursError, ServiceAccountTokens
from windlass.errors import UnauthorizedError, UnavailableError
from windlass.plugin.interfaces.authn import Credentials, ObjectReader, UserInfo

USER_PREFIX = "system:serviceaccount:"
ALL_ACCOUNTS = "system:serviceaccounts"
AUTHENTICATED = "system:authenticated"
EXTRA = "authentication.kubernetes.io"
BOUND = {"pod": "pods", "secret": "secrets", "node": "nodes"}
MAX_REMEMBERED = 4096


class ServiceAccountAuthenticator:
    """Signatures are checked once per token; expiry and what the token is bound to at every request."""

    def __init__(self, tokens: ServiceAccountTokens, reader: ObjectReader) -> None:
        self._tokens = tokens
        self._reader = reader
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()

    def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """Return the account; None for no token or another issuer's. Raises 401, 503 before the caches are filled."""
        if not credentials.bearer_token:
            return None
        try:
            claims = self._claims(credentials.bearer_token, credentials.audiences)
        except NotOursError:
            return None
        wanted = credentials.audiences or (self._tokens.issuer,)
        good_for = tuple(audience for audience in _audiences(claims) if audience in wanted)
        return self._user(claims, good_for)

    def _claims(self, token: str, audiences: Sequence[str]) -> Claims:
        digest = hashlib.sha256("\0".join((token, *audiences)).encode("utf-8", "surrogateescape")).digest()
        known = self._verified.get(digest)
        if known is not None:
            self._verified.move_to_end(digest)
            self._tokens.check_times(known)
            return known
        claims = self._verified[digest] = self._tokens.verify(token, audiences)
        if len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)
        return claims

    def _user(self, claims: Claims, good_for: Sequence[str]) -> UserInfo:
        private = claims.get(CLAIMS)
        account = private.get("serviceaccount") if isinstance(private, dict) else None
        if not isinstance(private, dict) or not isinstance(account, dict):
            raise UnauthorizedError("the service account token names no service account")
        namespace, name = str(private.get("namespace") or ""), str(account.get("name") or "")
        if claims["sub"] != f"{USER_PREFIX}{namespace}:{name}":
            raise UnauthorizedError("the service account token's subject is not its service account")
        self._check_live("serviceaccounts", namespace, account)
        for key, resource in BOUND.items():
            bound = private.get(key)
            # A pod's token carries its node for information; it ends with the pod, not with the node.
            if isinstance(bound, dict) and not (key == "node" and "pod" in private):
                self._check_live(resource, "" if key == "node" else namespace, bound)
        groups = (ALL_ACCOUNTS, f"{ALL_ACCOUNTS}:{namespace}", AUTHENTICATED)
        return UserInfo(str(claims["sub"]), groups, str(account.get("uid") or ""), _extra(claims, private), good_for)

    def _check_live(self, resource: str, namespace: str, wanted: Mapping[str, Any]) -> None:
        """Raise 401 when an object is gone or is another one by now."""
        obj = self._reader.get(resource, namespace, str(wanted.get("name") or ""))
        if obj is None:
            if self._reader.get("namespaces", "", "kube-system") is None:
                raise UnavailableError("the API server is still reading its store")
            raise UnauthorizedError(f"the service account token is bound to {resource} that is gone")
        if obj["metadata"].get("uid") != wanted.get("uid"):
            raise UnauthorizedError(f"the service account token is bound to earlier {resource} of that name")


def _audiences(claims: Claims) -> Sequence[str]:
    audience = claims["aud"]
    return [audience] if isinstance(audience, str) else list(audience)


def _extra(claims: Claims, private: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    extra: dict[str, Sequence[str]] = {}
    if claims.get("jti"):
        extra[f"{EXTRA}/credential-id"] = [f"JTI={claims['jti']}"]
    for key in ("pod", "node"):
        bound = private.get(key)
        if isinstance(bound, dict):
            extra[f"{EXTRA}/{key}-name"] = [str(bound.get("name"))]
            extra[f"{EXTRA}/{key}-uid"] = [str(bound.get("uid"))]
    return extra
