"""Write a kubeconfig whose certificates stand inside it, so that the file alone is enough."""

import base64
from pathlib import Path

import yaml

from windlass.auth.pki import write_private


def write_kubeconfig(path: Path, *, server: str, ca: Path, certificate: Path, key: Path) -> None:
    """Write PATH (owner-only) with one cluster `windlass`, one user (named after the file) and one context."""
    user = path.stem

    def data(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "windlass", "cluster": {"server": server, "certificate-authority-data": data(ca)}}],
        "users": [{"name": user, "user": {"client-certificate-data": data(certificate), "client-key-data": data(key)}}],
        "contexts": [{"name": "windlass", "context": {"cluster": "windlass", "user": user}}],
        "current-context": "windlass",
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
