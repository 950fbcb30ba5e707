"""Making and checking JSON Web Tokens of service accounts. What they are bound to is checked by the authenticator.

The libraries of signatures and the key come with the first token: an API server without any does without them.
"""

import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.clock import Clock
from windlass.errors import UnauthorizedError

if TYPE_CHECKING:
    from windlass.auth.service_accounts.keys import SigningKeys

ALGORITHM = "ES256"
DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
CLAIMS = "kubernetes.io"
REQUIRED = ("exp", "iat", "nbf", "iss", "sub", "aud")
MAX_TOKEN_BYTES = 16 * 1024
Claims = Mapping[str, Any]


class NotOursError(Exception):
    """A token of another issuer, or none at all: others may know it."""


class ServiceAccountTokens:
    """Signs with the newest key, checks with all. The API server's own audience is the issuer, as in Kubernetes."""

    def __init__(self, pki: Path, clock: Clock, issuer: str = DEFAULT_ISSUER) -> None:
        self.issuer = issuer
        self._pki = pki
        self._clock = clock

    @cached_property
    def keys(self) -> "SigningKeys":
        """The keys of DATA_DIR/pki. Raises ConfigError."""
        from windlass.auth.service_accounts.keys import load_or_create  # noqa: PLC0415 - see above

        return load_or_create(self._pki)

    def issue(
        self, namespace: str, name: str, private: Mapping[str, Any], *, audiences: Sequence[str], seconds: int
    ) -> tuple[str, int]:
        """Return a token and its expiry in UNIX seconds. `private` are the claims that say what it is bound to."""
        import jwt  # noqa: PLC0415

        now = int(self._clock.now().timestamp())
        claims = {
            "aud": list(audiences) or [self.issuer],
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            CLAIMS: {"namespace": namespace, **private},
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        headers = {"kid": self.keys.key_id}
        return jwt.encode(claims, self.keys.private, algorithm=ALGORITHM, headers=headers), now + seconds

    def verify(self, token: str, audiences: Sequence[str] = ()) -> Claims:
        """Return a token's claims. Raises NotOursError, or UnauthorizedError for one that is ours but not good.

        The key is the one of the header's `kid` among those in memory: nothing is looked up by what a token says.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise UnauthorizedError(f"the bearer token is longer than {MAX_TOKEN_BYTES} bytes")
        import jwt  # noqa: PLC0415

        header = self._header(token)
        key = self.keys.public.get(str(header.get("kid")))
        if key is None or header.get("alg") != ALGORITHM:
            raise UnauthorizedError("the service account token is not signed by a key of this cluster")
        # The times are held against the injected clock below.
        options: Any = {"require": list(REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims: Claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=list(audiences) or [self.issuer], issuer=self.issuer,
                options=options,
            )  # fmt: skip
        except jwt.InvalidTokenError as error:
            raise UnauthorizedError(f"the service account token is not good: {error}") from error
        self.check_times(claims)
        return claims

    def check_times(self, claims: Claims) -> None:
        """Raise UnauthorizedError for a token that has expired or that is not valid yet."""
        times = [claims["exp"], claims["nbf"], claims["iat"]]
        if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times):
            raise UnauthorizedError("the service account token has times that are no numbers")
        now = self._clock.now().timestamp()
        if now >= claims["exp"]:
            raise UnauthorizedError("the service account token has expired")
        if now < int(claims["nbf"]) or now < int(claims["iat"]):
            raise UnauthorizedError("the service account token is not valid yet")

    def _header(self, token: str) -> Claims:
        """Return the header of a token that says it is of this issuer. Nothing in it is trusted yet."""
        import jwt  # noqa: PLC0415

        if token.count(".") != 2:
            raise NotOursError
        try:
            header: Claims = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise NotOursError from error
        if claims.get("iss") != self.issuer:
            raise NotOursError
        return header
