"""Registers the built-in authenticators and authorisers, by the same road as a third party's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.auth.authenticators import CertificateAuthenticator, TokenFileAuthenticator
from windlass.auth.authorizers import AdminAuthorizer, DiscoveryAuthorizer
from windlass.auth.node_authorizer import NodeAuthorizer
from windlass.auth.service_accounts.authenticator import ServiceAccountAuthenticator
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration


def _build_token_file(config: Mapping[str, Any]) -> TokenFileAuthenticator | None:
    path = config.get("token_file")
    return TokenFileAuthenticator(Path(path)) if path else None


def _build_service_accounts(config: Mapping[str, Any]) -> ServiceAccountAuthenticator | None:
    pki, reader = config.get("pki_dir"), config.get("reader")
    if not pki or reader is None:
        return None
    tokens = ServiceAccountTokens(Path(pki), config["clock"])
    return ServiceAccountAuthenticator(tokens, reader)


@hookimpl
def register_authenticators() -> Sequence[DriverRegistration]:
    """Hand out service accounts' tokens, client certificates and, when a token file is configured, static tokens."""
    return (
        DriverRegistration(
            "certificate", lambda _: CertificateAuthenticator(), "client certificate: CN user, O groups"
        ),
        DriverRegistration("service-account", _build_service_accounts, "tokens that this cluster gave to its pods"),
        DriverRegistration("token-file", _build_token_file, "static bearer tokens from a file"),
    )


@hookimpl
def register_authorizers() -> Sequence[DriverRegistration]:
    """Hand out health and discovery, administrators, nodes."""
    return (
        DriverRegistration(
            "discovery", lambda _: DiscoveryAuthorizer(), "health for all, discovery for the authenticated"
        ),
        DriverRegistration("admin", lambda _: AdminAuthorizer(), "group system:masters may do everything"),
        DriverRegistration("node", lambda _: NodeAuthorizer(), "a node's certificate: only what its own agent needs"),
    )
