"""The cluster's own certificate authority: made at the first start, kept in DATA_DIR/pki, files readable by their owner only.

Certificates carry the identity in Kubernetes' way: CN is the user, each O a group. EC P-256 keys: a start needs
several and they are made in a millisecond.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from windlass.clock import Clock, SystemClock
from windlass.errors import ConfigError

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate to issue. `hosts` are DNS names and IP addresses; without any it is for clients only."""

    common_name: str
    organizations: Sequence[str] = ()
    hosts: Sequence[str] = ()


class CertificateAuthority:
    """Issues certificates into a directory and reuses those that are still good."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.directory = directory
        self._clock = clock or SystemClock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._certificate, self._key = self._load_or_create()

    @property
    def certificate_path(self) -> Path:
        """The CA certificate, for clients to trust."""
        return self.directory / "ca.crt"

    def issue(self, name: str, request: CertificateRequest) -> tuple[Path, Path]:
        """Return (certificate, key) paths of NAME.crt and NAME.key, issuing them unless a fitting pair is there."""
        certificate_path, key_path = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        if certificate_path.exists() and key_path.exists() and self._fits(certificate_path, request):
            return certificate_path, key_path
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(request, key.public_key())
        write_private(key_path, _pem(key))
        write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
        return certificate_path, key_path

    def _load_or_create(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate_path, key_path = self.directory / "ca.crt", self.directory / "ca.key"
        if certificate_path.exists() and key_path.exists():
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ConfigError(f"{key_path}: not an EC private key; remove {self.directory} to make a new CA")
            return certificate, key
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._self_sign(key)
        write_private(key_path, _pem(key))
        write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
        return certificate, key

    def _self_sign(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        now = self._clock.now()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "windlass-ca")])
        key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(key_id, critical=False)
            .sign(key, hashes.SHA256())
        )

    def _sign(self, request: CertificateRequest, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        now = self._clock.now()
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if request.hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(request))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if request.hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in request.hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _fits(self, path: Path, request: CertificateRequest) -> bool:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc - RENEW_BEFORE < self._clock.now() or certificate.subject != _subject(
            request
        ):
            return False
        if certificate.issuer != self._certificate.subject:
            return False
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return not request.hosts
        return {_general_name(host) for host in request.hosts} <= set(names)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, replacing an older one atomically."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(request: CertificateRequest) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in request.organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
