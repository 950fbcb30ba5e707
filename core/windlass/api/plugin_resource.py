"""`/apis/windlass.dev/v1/plugins`: what the plugin manager knows, read-only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.api.negotiation import negotiate
from windlass.api.rendering import Renderer
from windlass.api.request import ApiRequest
from windlass.api.response import ApiResponse
from windlass.apimachinery.schema import AnyValue, ObjectSchema, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Strategy
from windlass.clock import Clock
from windlass.errors import MethodNotAllowedError
from windlass.registry.refusals import not_found


class PluginSchema(ObjectSchema):
    """A plugin that this API server has found."""

    openapi_name = "dev.windlass.v1.Plugin"

    api_version = Str("Version of this representation.")
    kind = Str("Kind of this object.")
    metadata = AnyValue("The plugin's name.")
    spec = AnyValue("Where the plugin comes from.")
    status = AnyValue("How loading ended, and what the plugin brings.")


class PluginStrategy(Strategy):
    """Only shown, never written."""

    columns = (
        Column("State", lambda obj, _now: obj["status"]["state"]),
        Column("Distribution", lambda obj, _now: obj["spec"]["distribution"]),
        Column("Version", lambda obj, _now: obj["spec"]["version"]),
        Column("Reason", lambda obj, _now: obj["status"]["reason"]),
    )


PLUGIN_KIND = KindDefinition(
    "windlass.dev",
    "v1",
    "Plugin",
    "plugins",
    "plugin",
    namespaced=False,
    schema=PluginSchema,
    strategy=PluginStrategy(),
)


class PluginHandler:
    """Serves the plugins of this process."""

    def __init__(self, plugins: Callable[[], Sequence[Mapping[str, Any]]], clock: Clock) -> None:
        self._plugins = plugins
        self._clock = clock

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Serve get and list. Raises 404, 405, 406."""
        if request.verb not in ("get", "list") or request.path.subresource:
            raise MethodNotAllowedError(
                "plugins are read-only: they are installed with pip and chosen in the configuration"
            )
        renderer = Renderer(PLUGIN_KIND, negotiate(request.header(b"accept")), self._clock)
        found = {plugin["metadata"]["name"]: dict(plugin) for plugin in self._plugins()}
        if request.path.name:
            if request.path.name not in found:
                raise not_found(PLUGIN_KIND, request.path.name)
            return renderer.single(found[request.path.name])
        return renderer.objects([found[name] for name in sorted(found)], {"resourceVersion": "0"})
