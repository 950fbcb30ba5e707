"""Built-in ways to prove an identity: a client certificate of the cluster's CA, or a static bearer token."""

import csv
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.errors import ConfigError, UnauthorizedError
from windlass.plugin.interfaces.authn import Credentials, UserInfo

MAX_TOKEN_BYTES = 16 * 1024
AUTHENTICATED = "system:authenticated"


class CertificateAuthenticator:
    """CN is the user, each O a group. TLS has already verified the certificate against the cluster's CA."""

    def __init__(self) -> None:
        self._users: dict[tuple[Any, ...], UserInfo] = {}

    def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """Return the certificate's user; None when there is no certificate."""
        certificate = credentials.peer_certificate
        if not certificate:
            return None
        subject: tuple[Any, ...] = certificate.get("subject", ())
        user = self._users.get(subject)
        if user is None:
            if len(self._users) > 10_000:
                self._users.clear()
            user = self._users[subject] = _user_of(subject)
        return user


def _user_of(subject: Sequence[Sequence[tuple[str, str]]]) -> UserInfo:
    name, groups = "", []
    for attribute in (pair for relative in subject for pair in relative):
        if attribute[0] == "commonName":
            name = attribute[1]
        elif attribute[0] == "organizationName":
            groups.append(attribute[1])
    if not name:
        raise UnauthorizedError("the client certificate has no common name, so it names no user")
    return UserInfo(name, (*groups, AUTHENTICATED))


class TokenFileAuthenticator:
    """Static bearer tokens: lines of `token,user,uid,"group1,group2"`. Tokens are kept hashed."""

    def __init__(self, path: Path) -> None:
        self._users = _read_tokens(path)

    def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """Return the token's user; None when there is no token or another authenticator may know it."""
        token = credentials.bearer_token
        if not token:
            return None
        if len(token) > MAX_TOKEN_BYTES:
            raise UnauthorizedError(f"the bearer token is longer than {MAX_TOKEN_BYTES} bytes")
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hmac.digest(b"windlass-token", token.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _read_tokens(path: Path) -> Mapping[bytes, UserInfo]:
    users: dict[bytes, UserInfo] = {}
    try:
        rows = list(csv.reader(path.read_text().splitlines()))
    except OSError as error:
        raise ConfigError(f"token file {path}: {error.strerror}") from error
    for number, row in enumerate(rows, 1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3 or not row[0] or not row[1]:
            raise ConfigError(f'token file {path} line {number}: want token,user,uid[,"group1,group2"]')
        groups = [group.strip() for group in row[3].split(",")] if len(row) > 3 and row[3] else []
        users[_digest(row[0])] = UserInfo(row[1], (*groups, AUTHENTICATED), uid=row[2])
    return users
