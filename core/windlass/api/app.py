"""Composition of the API server's application."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import falcon.asgi

from windlass.api.config import ApiConfig
from windlass.apimachinery.scheme import Scheme
from windlass.clock import Clock
from windlass.plugin.interfaces.admission import AdmissionPlugin
from windlass.plugin.interfaces.authn import Authenticator, Authorizer
from windlass.store.interface import Store

if TYPE_CHECKING:
    from windlass.store.watchcache import WatchCache


def build_app(
    *,
    scheme: Scheme,
    store: Store,
    cache: "WatchCache",
    authenticators: Sequence[Authenticator],
    authorizers: Sequence[Authorizer],
    admission: Sequence[AdmissionPlugin],
    clock: Clock,
    plugins: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    log_backend: Any = None,
    config: ApiConfig | None = None,
) -> falcon.asgi.App:  # type: ignore[type-arg]
    """Build the ASGI application. The caller starts the store and runs the cache (`windlass.api.server` does)."""
    raise NotImplementedError
