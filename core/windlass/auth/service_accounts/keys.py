"""The key that signs service accounts' tokens, kept in DATA_DIR/pki beside the CA. ES256: short and quick to make.

A new key takes over by replacing `service-account.key` and keeping the old one as `service-account-*.key` (or its public
half as `.pub`) until the last token that it signed has expired.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from windlass.auth.service_accounts.tokens import ALGORITHM
from windlass.errors import ConfigError

KEY_FILE = "service-account.key"
OLD_KEYS = "service-account-*"
COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """`private` signs under the id `key_id`; `public` checks, by id."""

    key_id: str
    private: ec.EllipticCurvePrivateKey
    public: Mapping[str, ec.EllipticCurvePublicKey]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [_jwk(key_id, key) for key_id, key in self.public.items()]}


def load_or_create(pki: Path) -> SigningKeys:
    """Load the keys, making one where there is none. Safe in any number of processes at once. Raises ConfigError."""
    path = pki / KEY_FILE
    if not path.exists():
        _create(path)
    private = _load(path)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: not a private key")
    keys = [private.public_key(), *(_public(_load(old)) for old in sorted(pki.glob(OLD_KEYS)))]
    public = {key_id_of(key): key for key in keys}
    return SigningKeys(key_id_of(private.public_key()), private, public)


def key_id_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return a key's id: the hash of its public half, as Kubernetes makes it."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _base64url(hashlib.sha256(encoded).digest())


def _create(path: Path) -> None:
    """Make a key; of several processes that do so at once, the first wins for all."""
    key = ec.generate_private_key(ec.SECP256R1())
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


def _load(path: Path) -> ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey:
    content = path.read_bytes()
    try:
        if b"PRIVATE KEY" in content:
            key: object = serialization.load_pem_private_key(content, password=None)
        else:
            key = serialization.load_pem_public_key(content)
    except ValueError as error:
        raise ConfigError(f"{path}: not a key in PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        raise ConfigError(f"{path}: not an EC key")
    if not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"{path}: the curve must be P-256, not {key.curve.name}")
    return key


def _public(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> ec.EllipticCurvePublicKey:
    return key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key


def _jwk(key_id: str, key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_base64url(n.to_bytes(COORDINATE_BYTES, "big")) for n in (numbers.x, numbers.y))
    return {"use": "sig", "kty": "EC", "kid": key_id, "crv": "P-256", "alg": ALGORITHM, "x": x, "y": y}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
