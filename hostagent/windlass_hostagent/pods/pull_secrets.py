"""Image pull secrets: which credentials a pod has for an image's registry. Pure."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.plugin.interfaces.runtime import RegistryAuth

Obj = dict[str, Any]
DEFAULT_REGISTRY = "docker.io"
DEFAULT_ALIASES = ("docker.io", "index.docker.io", "registry-1.docker.io")
DOCKER_CONFIG_JSON = ".dockerconfigjson"
DOCKER_CFG = ".dockercfg"


def registry_of(image: str) -> tuple[str, str]:
    """Split an image name into its registry and the path in it."""
    first, slash, rest = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return (first, rest) if named else (DEFAULT_REGISTRY, image)


def _entries(secret: Obj) -> Mapping[str, Any]:
    """Return a secret's entries by server; none when it is no pull secret or cannot be read."""
    data = secret.get("data") or {}
    try:
        if DOCKER_CONFIG_JSON in data:
            found = json.loads(base64.b64decode(data[DOCKER_CONFIG_JSON]))["auths"]
        elif DOCKER_CFG in data:
            found = json.loads(base64.b64decode(data[DOCKER_CFG]))
        else:
            return {}
    except (ValueError, KeyError, TypeError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _place(server: str) -> tuple[str, str]:
    """Return host and path of a server as Docker's configuration writes it (`https://host/v1/`, `host/path`)."""
    bare = server.partition("://")[2] or server
    host, _, path = bare.partition("/")
    path = path.strip("/")
    return (DEFAULT_REGISTRY if host in DEFAULT_ALIASES else host), "" if path in ("v1", "v2") else path


def _matches_host(pattern: str, host: str) -> bool:
    """Compare label by label; `*` stands for one label's part, as in kubelet's keyring."""
    ours, theirs = pattern.split("."), host.split(".")
    if len(ours) != len(theirs):
        return False
    return all(p == h or (p.startswith("*") and h.endswith(p[1:])) for p, h in zip(ours, theirs, strict=True))


def _auth(entry: Any, server: str) -> RegistryAuth | None:
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (ValueError, binascii.Error):
            return None
    token = str(entry.get("identitytoken") or "")
    return RegistryAuth(username, password, token, server) if username or token else None


def credentials(image: str, secrets: Sequence[Obj]) -> Iterator[RegistryAuth]:
    """Yield what fits the image, the longest path first, in the order of the secrets."""
    registry, path = registry_of(image)
    found: list[tuple[int, int, RegistryAuth]] = []
    for position, secret in enumerate(secrets):
        for server, entry in _entries(secret).items():
            host, prefix = _place(server)
            if not _matches_host(host, registry) or (prefix and not f"{path}/".startswith(f"{prefix}/")):
                continue
            auth = _auth(entry, server)
            if auth is not None:
                found.append((-len(prefix), position, auth))
    for _, _, auth in sorted(found, key=lambda f: f[:2]):
        yield auth
