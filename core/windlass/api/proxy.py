"""`pods/{name}/proxy` and `nodes/{name}/proxy`: HTTP and WebSockets passed on to a pod, or to a node's host agent."""

from collections.abc import Mapping
from typing import Any

from windlass.api.agents import AgentConnections, agent_port, agent_url
from windlass.api.config import ApiConfig
from windlass.api.proxy_rules import parse_name, pod_origin
from windlass.api.request import ApiRequest
from windlass.api.response import ApiResponse, Response
from windlass.api.reverse_proxy import ProxyTarget, ReverseProxy
from windlass.errors import BadRequestError, NotFoundError
from windlass.logs import get_logger
from windlass.registry.generic import Registry

log = get_logger(__name__)


class ProxyHandler:
    """Serves the proxy subresources. `services/{name}/proxy` is not served yet."""

    def __init__(self, agents: AgentConnections, config: ApiConfig) -> None:
        self._agents = agents
        self._proxy = ReverseProxy(config.proxy_idle_seconds)

    async def handle(self, request: ApiRequest, registry: Registry) -> Response:
        """Pass a request on. Its body is neither bounded nor kept: who may do this is trusted with the backend's bounds."""
        target = parse_name(request.path.name)
        obj: Mapping[str, Any] = (await registry.get(request.path.namespace, target.name)).obj
        if not request.path.tail and request.method == "GET" and not request.is_websocket:
            return _with_slash(request)
        path = request.path.tail or "/"
        query = request.scope.get("query_string", b"").decode("latin-1")
        if request.path.plural == "nodes":
            if target.port not in ("", str(agent_port(obj))):
                raise BadRequestError(f"port {target.port} of node {target.name} is not its host agent's")
            return await self._proxy.pass_on(request, ProxyTarget(agent_url(obj), path, query, self._agents.tls()))
        if request.path.plural != "pods":
            raise NotFoundError(f"{request.path.plural}/proxy is not served by this version of windlass yet")
        try:
            origin = pod_origin(obj, target)
        except BadRequestError as error:
            log.warning("proxy_target_refused", path=request.path.text, user=request.user.name, error=error.message)
            raise
        # A pod's certificate is nobody's business but its own: as in Kubernetes, it is not checked.
        return await self._proxy.pass_on(request, ProxyTarget(origin, path, query, tls=False))


def _with_slash(request: ApiRequest) -> ApiResponse:
    """Send a bare GET to the same path with a slash, so that relative links lead below it (C199)."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    location = request.raw_path.decode("latin-1") + "/" + (f"?{query}" if query else "")
    return ApiResponse(b"", 301, "text/plain; charset=utf-8", [("location", location)])
