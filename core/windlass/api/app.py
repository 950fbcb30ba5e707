"""Composition of the API server's application."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import falcon.asgi

from windlass.api.adapter import Adapter, AsgiApp
from windlass.api.agents import AgentConnections
from windlass.api.config import ApiConfig
from windlass.api.container_logs import AgentLogBackend, LogBackend, LogHandler
from windlass.api.discovery import Discovery
from windlass.api.documents import Documents
from windlass.api.guard import Guard
from windlass.api.health import PATHS, Health
from windlass.api.metrics import Metrics
from windlass.api.pipeline import Pipeline
from windlass.api.plugin_resource import PLUGIN_KIND, PluginHandler
from windlass.api.proxy import ProxyHandler
from windlass.api.request import ApiRequest
from windlass.api.resource_metrics import AgentSummaries, MetricsHandler
from windlass.api.resources import Connections, ResourceHandler
from windlass.api.response import ApiResponse
from windlass.api.reviews import REVIEW_KINDS, ReviewHandler
from windlass.api.router import Router
from windlass.api.service_account_tokens import TokenRequestHandler, TokenReviewHandler, add_issuer_documents
from windlass.api.streaming import AgentStreams, StreamingHandler
from windlass.api.watch import WatchHandler
from windlass.api.websockets import WebSocketEntry
from windlass.apimachinery.scheme import Scheme
from windlass.apis.authentication.tokens import TOKEN_REVIEWS
from windlass.apis.metrics.v1beta1 import NODE_METRICS, POD_METRICS
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.clock import Clock
from windlass.plugin.interfaces.admission import AdmissionPlugin
from windlass.plugin.interfaces.authn import Authenticator, Authorizer
from windlass.registry.backend import Backend, CacheReader
from windlass.registry.continuation import Snapshots
from windlass.registry.generic import Registry
from windlass.store.interface import Store
from windlass.store.watchcache import WatchCache

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def build_app(  # noqa: PLR0913 - the parts of a server, all by keyword
    *,
    scheme: Scheme,
    store: Store,
    cache: WatchCache,
    authenticators: Sequence[Authenticator],
    authorizers: Sequence[Authorizer],
    admission: Sequence[AdmissionPlugin],
    clock: Clock,
    plugins: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    log_backend: LogBackend | None = None,
    stream_backend: AgentStreams | None = None,
    config: ApiConfig | None = None,
    tokens: ServiceAccountTokens | None = None,
) -> falcon.asgi.App:  # type: ignore[type-arg]
    """Build the ASGI application. The caller starts the store and runs the cache (`windlass.api.server` does)."""
    config = config or ApiConfig()
    reader = CacheReader(cache, scheme)
    backend = Backend(
        store, cache, scheme, clock, tuple(admission), reader, service_cidrs=config.service_cidrs
    )
    snapshots = Snapshots(clock)
    registries = {(kind.group, kind.version, kind.plural): Registry(kind, backend, snapshots) for kind in scheme}
    agents = AgentConnections(config)
    connections = Connections(
        logs=LogHandler(log_backend or AgentLogBackend(agents), reader),
        streams=StreamingHandler(stream_backend or agents, reader, config),
        proxy=ProxyHandler(agents, config),
    )
    guard = Guard(authenticators, authorizers, reader)
    watches = WatchHandler(config, clock)
    resources = ResourceHandler(registries, watches, connections, config, clock, guard.authorize)
    kinds = [*scheme, *REVIEW_KINDS, *((TOKEN_REVIEWS,) if tokens else ()), NODE_METRICS, POD_METRICS, PLUGIN_KIND]
    discovery = Discovery(kinds, f"{config.host}:{config.port}")
    router = Router(frozenset(registries), resources.handle, discovery.handle)
    router.add_resource("windlass.dev", "v1", "plugins", PluginHandler(plugins, clock).handle)
    for kind in REVIEW_KINDS:
        review = ReviewHandler(kind, guard, config.max_body_bytes)
        router.add_resource(kind.group, kind.version, kind.plural, review.handle)
    usage = MetricsHandler(AgentSummaries(agents), reader, clock)
    router.add_resource(NODE_METRICS.group, NODE_METRICS.version, NODE_METRICS.plural, usage.nodes)
    router.add_resource(POD_METRICS.group, POD_METRICS.version, POD_METRICS.plural, usage.pods)
    if tokens is not None:
        resources.add_subresource("token", "create", TokenRequestHandler(tokens, reader, config.max_body_bytes).handle)
        _add_token_checks(router, tokens, guard, config)
    metrics = Metrics()
    _add_documents(router, Documents(kinds), Health(store, cache, config.readyz_timeout_seconds), metrics)
    pipeline = Pipeline(router, guard, config, metrics)
    adapter = Adapter(pipeline)
    app = AsgiApp()
    app.websockets = WebSocketEntry(pipeline)
    app.add_sink(adapter.on_request, prefix="/")  # type: ignore[arg-type]  # falcon allows resp to be None for WebSockets
    app.add_error_handler(Exception, adapter.on_error)
    return app


def _add_token_checks(router: Router, tokens: ServiceAccountTokens, guard: Guard, config: ApiConfig) -> None:
    review = TokenReviewHandler(guard, tokens.issuer, config.max_body_bytes)
    router.add_resource(TOKEN_REVIEWS.group, TOKEN_REVIEWS.version, TOKEN_REVIEWS.plural, review.handle)
    add_issuer_documents(router, tokens, f"{config.host}:{config.port}")


def _add_documents(router: Router, documents: Documents, health: Health, metrics: Metrics) -> None:
    async def serve_metrics(_request: ApiRequest) -> ApiResponse:
        return ApiResponse(metrics.render(), content_type=PROMETHEUS_TEXT)

    router.add_path("/version", documents.version)
    router.add_path("/openapi/v2", documents.openapi_v2)
    router.add_path("/openapi/v3", documents.openapi_v3, below=True)
    router.add_path("/metrics", serve_metrics)
    for path in PATHS:
        router.add_path(path, health.handle, below=True)
