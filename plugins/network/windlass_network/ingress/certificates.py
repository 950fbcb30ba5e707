"""TLS Secrets, checked before nginx sees them: a certificate that does not fit its key would stop every site."""

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from windlass_network.ingress.model import Certificate, Obj


def read_certificate(secret: Obj) -> Certificate:
    """Return a Secret's certificate and key. Raises ValueError saying what is wrong; the key is never in it."""
    data = secret.get("data") or {}
    try:
        chain, key = (base64.b64decode(data.get(name) or "", validate=True) for name in ("tls.crt", "tls.key"))
    except binascii.Error as error:
        raise ValueError("tls.crt or tls.key is no base64") from error
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise ValueError("tls.crt is no PEM certificate") from error
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("tls.key is no PEM private key") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificates[0].public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise ValueError("tls.crt and tls.key do not belong together")
    written = b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
    return Certificate(written, key)
