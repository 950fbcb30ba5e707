"""Reading a kubeconfig: which server, whom to trust, who we are."""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from windlass.client.transport import HttpTransport
from windlass.errors import ConfigError


def load_kubeconfig(path: str | os.PathLike[str], context: str = "") -> HttpTransport:
    """Return the transport that a kubeconfig's current (or named) context describes. Raises ConfigError."""
    file = Path(path)
    config = _read(file)
    pair, cluster = _chosen(config, context, file)
    user = _entry(config, "users", str(pair.get("user") or ""), "user", file)
    server = str(cluster.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise ConfigError(f"kubeconfig {file}: cluster {pair.get('cluster')!r} has no server URL")
    ssl_context = _ssl_context(cluster, user, file) if server.startswith("https://") else None
    return HttpTransport(server, ssl_context, _token(user, file))


def cluster_authority(path: str | os.PathLike[str]) -> str:
    """Return the CA, in PEM, that a kubeconfig's current context trusts; '' when it names none. Raises ConfigError."""
    file = Path(path)
    _, cluster = _chosen(_read(file), "", file)
    return (_bytes(cluster, "certificate-authority", file) or b"").decode("ascii", "replace")


def _read(file: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ConfigError(f"kubeconfig {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"kubeconfig {file}: not valid YAML: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"kubeconfig {file}: not a mapping")
    return config


def _chosen(config: Mapping[str, Any], context: str, file: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the named (or current) context and its cluster."""
    pair = _entry(config, "contexts", context or str(config.get("current-context") or ""), "context", file)
    return pair, _entry(config, "clusters", str(pair.get("cluster") or ""), "cluster", file)


def _entry(config: Mapping[str, Any], section: str, name: str, key: str, file: Path) -> Mapping[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            return entry.get(key) or {}
    raise ConfigError(f"kubeconfig {file}: no entry {name!r} in {section}")


def _bytes(entry: Mapping[str, Any], key: str, file: Path) -> bytes | None:
    """Return what `key`-data holds or the file `key` names, relative to the kubeconfig."""
    data = entry.get(f"{key}-data")
    try:
        if data:
            return base64.b64decode(data, validate=True)
        return (file.parent / str(entry[key])).read_bytes() if entry.get(key) else None
    except binascii.Error as error:
        raise ConfigError(f"kubeconfig {file}: {key}-data is not base64") from error
    except OSError as error:
        raise ConfigError(f"kubeconfig {file}: {key} {entry[key]}: {error.strerror}") from error


def _token(user: Mapping[str, Any], file: Path) -> str:
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = (_bytes({"tokenFile": user["tokenFile"]}, "tokenFile", file) or b"").decode()
    return str(token or "").strip()


def _ssl_context(cluster: Mapping[str, Any], user: Mapping[str, Any], file: Path) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", file)
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = _bytes(user, "client-certificate", file), _bytes(user, "client-key", file)
        if certificate and key:
            _load_identity(context, certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"kubeconfig {file}: certificates cannot be used: {error}") from error
    return context


def _load_identity(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads a key only from a file: one in memory, where there is one, for ourselves only.
    directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a private temporary file in it
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
