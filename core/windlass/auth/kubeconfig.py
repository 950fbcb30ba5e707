"""Write a kubeconfig whose certificates stand inside it, so that the file alone is enough."""

import base64
from pathlib import Path
from typing import Any

import yaml

from windlass.auth.pki import write_private


def write_kubeconfig(path: Path, *, server: str, ca: Path, certificate: Path, key: Path) -> None:
    """Write PATH (owner-only) with one cluster `windlass`, one user (named after the file) and one context.

    A file that has this cluster and user already stays as it is: contexts and what else is in it are the user's own.
    """
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
    if _holds(path, document):
        return
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())


def _holds(path: Path, document: dict[str, Any]) -> bool:
    """Say whether a kubeconfig has the document's cluster and user."""
    try:
        found = yaml.safe_load(path.read_bytes())
    except (FileNotFoundError, yaml.YAMLError):
        return False
    if not isinstance(found, dict) or not found.get("current-context"):
        return False
    return all(entry in (found.get(part) or ()) for part in ("clusters", "users") for entry in document[part])
