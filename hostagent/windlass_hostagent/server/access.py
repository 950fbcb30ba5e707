"""Who may use the agent: the API server, and everybody for /healthz (S46)."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import ForbiddenError, UnauthorizedError

API_SERVER_GROUP = "system:masters"
OPEN_PATHS = frozenset({"/healthz"})


def peer_subject(scope: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """Return the common name and organisations of the verified client certificate, empty when there is none."""
    certificate = (scope.get("extensions") or {}).get("windlass.peercert") or {}
    pairs = [pair for rdn in certificate.get("subject", ()) for pair in rdn]
    name = next((value for key, value in pairs if key == "commonName"), "")
    return name, [value for key, value in pairs if key == "organizationName"]


def check_peer(scope: Mapping[str, Any]) -> None:
    """Let in whoever has a client certificate of the API server. Raises 401 without a certificate, 403 with another."""
    name, groups = peer_subject(scope)
    if not name:
        raise UnauthorizedError("a client certificate is needed")
    if API_SERVER_GROUP not in groups:
        raise ForbiddenError(f"{name} may not use the host agent")
