"""The generic handler: every verb on every kind, with its subresources."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from windlass.api.body import parse, read_body, read_bytes, read_optional
from windlass.api.config import ApiConfig
from windlass.api.container_logs import LogHandler
from windlass.api.managers import check_patch_options, manager_of
from windlass.api.negotiation import media_type_of, negotiate
from windlass.api.proxy import ProxyHandler
from windlass.api.rendering import Renderer
from windlass.api.request import PAGE_NOT_FOUND, ApiRequest, ParsedPath
from windlass.api.response import ApiResponse, Response, json_response, warning_headers
from windlass.api.streaming import StreamingHandler
from windlass.api.watch import WatchHandler
from windlass.apimachinery.scheme import KindDefinition
from windlass.clock import Clock
from windlass.errors import BadRequestError, ErrorDetails, MethodNotAllowedError, NotFoundError
from windlass.registry.admit import Target
from windlass.registry.fencing import parse_claim
from windlass.registry.generic import Registry
from windlass.registry.options import DeleteOptions, ListOptions, Patch, RequestContext, Written
from windlass.registry.patching import APPLY_PATCH, JSON_PATCH, check_patch_type
from windlass.registry.pods import delete_options

NOT_ALLOWED = "the server does not allow this method on the requested resource"
RETURNED_WHEN_DELETED = frozenset(
    {
        "pods",
        "services",
        "persistentvolumes",
        "persistentvolumeclaims",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
    }
)
NOT_YET = frozenset({("pods", "resize"), ("services", "proxy")})
FIELD_VALIDATION = ("Strict", "Warn", "Ignore")
Handle = Callable[[ApiRequest, Registry], Awaitable[Response]]
YAML = "application/yaml"
PROXY_VERBS = ("get", "create", "update", "patch", "delete")


class Connections(NamedTuple):
    """The handlers of what is not in the store, but in containers and on nodes."""

    logs: LogHandler
    streams: StreamingHandler
    proxy: ProxyHandler


class ResourceHandler:
    """Serves `/api/...` and `/apis/...` below the discovery documents."""

    def __init__(
        self,
        registries: Mapping[tuple[str, str, str], Registry],
        watches: WatchHandler,
        connections: Connections,
        config: ApiConfig,
        clock: Clock,
        authorize: Callable[[ApiRequest, str], None] = lambda _request, _verb: None,
    ) -> None:
        """`authorize` raises when the request's user may not do what it implies: an apply may create."""
        self._authorize = authorize
        self._registries = registries
        self._watches = watches
        self._config = config
        self._clock = clock
        self._main: dict[str, Handle] = {
            "get": self._get,
            "list": self._list,
            "watch": watches.handle,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        self._sub: dict[tuple[str, str], Handle] = {
            ("status", "get"): self._get,
            ("status", "update"): self._update,
            ("status", "patch"): self._patch,
            ("scale", "get"): self._get_scale,
            ("scale", "update"): self._update_scale,
            ("scale", "patch"): self._patch_scale,
            ("binding", "create"): self._bind,
            ("eviction", "create"): self._evict,
            ("finalize", "update"): self._finalize,
            ("ephemeralcontainers", "get"): self._get,
            ("ephemeralcontainers", "update"): self._update,
            ("ephemeralcontainers", "patch"): self._patch,
            ("log", "get"): connections.logs.handle,
            ("exec", "create"): connections.streams.exec,
            ("attach", "create"): connections.streams.attach,
            ("portforward", "create"): connections.streams.port_forward,
            **{("proxy", verb): connections.proxy.handle for verb in PROXY_VERBS},
        }

    def add_subresource(self, name: str, verb: str, handle: Handle) -> None:
        """Serve one verb of a subresource, of every kind that lists it, by a handler of its own."""
        self._sub[name, verb] = handle

    async def handle(self, request: ApiRequest) -> Response:
        """Serve one request whose `verb` is known."""
        registry = self.find(request.path)
        if not request.path.subresource:
            if request.verb == "deletecollection" and request.path.plural == "namespaces":
                raise MethodNotAllowedError(NOT_ALLOWED)
            return await self._main[request.verb](request, registry)
        handle = self._sub.get((request.path.subresource, request.verb))
        if handle is None:
            raise MethodNotAllowedError(NOT_ALLOWED)
        return await handle(request, registry)

    def find(self, path: ParsedPath) -> Registry:
        """Return the registry that a path leads to. Raises 404, or 405 for a verb without its namespace."""
        registry = self._registries.get((path.group, path.version, path.plural))
        if registry is None:
            raise NotFoundError(PAGE_NOT_FOUND)
        kind = registry.kind
        if not path.group and (path.plural, path.subresource) in NOT_YET:
            raise NotFoundError(f"{path.plural}/{path.subresource} is not served by this version of windlass yet")
        misplaced = bool(path.namespace) != kind.namespaced and (path.name or not kind.namespaced)
        if misplaced or (path.subresource and not _serves(kind, path.subresource)):
            raise NotFoundError(PAGE_NOT_FOUND)
        return registry

    def _renderer(self, request: ApiRequest, kind: KindDefinition) -> Renderer:
        representation = negotiate(request.header(b"accept"))
        return Renderer(kind, representation, self._clock, include=request.value("includeObject"))

    async def _get(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer = self._renderer(request, registry.kind)
        path = request.path
        return renderer.cached(
            await registry.get(path.namespace, path.name, resource_version=request.value("resourceVersion"))
        )

    async def _list(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer = self._renderer(request, registry.kind)
        return renderer.listing(await registry.list(request.path.namespace, list_options(request)))

    async def _create(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        if request.path.name or (registry.kind.namespaced and not request.path.namespace):
            raise MethodNotAllowedError(NOT_ALLOWED)
        renderer, context = self._renderer(request, registry.kind), context_of(request)
        body = await read_body(request, self._config.max_body_bytes)
        return self._written(renderer, context, await registry.create(context, request.path.namespace, body))

    async def _update(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer, context, target = (
            self._renderer(request, registry.kind),
            context_of(request),
            _target(request, registry),
        )
        body = await read_body(request, self._config.max_body_bytes)
        return self._written(renderer, context, await registry.update(context, target, body))

    async def _patch(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer, context, target = (
            self._renderer(request, registry.kind),
            context_of(request),
            _target(request, registry),
        )
        patch = await self._read_patch(request, context)
        return self._written(renderer, context, await registry.patch(context, target, patch))

    async def _delete(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer, context, target = (
            self._renderer(request, registry.kind),
            context_of(request),
            _target(request, registry),
        )
        options = await self._delete_options(request, context)
        written = await registry.delete(context, target, options)
        if written.gone and request.path.plural not in RETURNED_WHEN_DELETED:
            response = json_response(_deleted(registry.kind, written))
            response.headers += warning_headers(context.warnings)
            return response
        return self._written(renderer, context, written)

    async def _delete_collection(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        if registry.kind.namespaced and not request.path.namespace:
            raise MethodNotAllowedError(NOT_ALLOWED)
        renderer, context = self._renderer(request, registry.kind), context_of(request)
        options = await self._delete_options(request, context)
        listing = await registry.delete_collection(context, request.path.namespace, list_options(request), options)
        return renderer.listing(listing)

    async def _get_scale(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        negotiate(request.header(b"accept"), forms=False)
        path = request.path
        version = request.value("resourceVersion")
        return json_response(await registry.get_scale(path.namespace, path.name, resource_version=version))

    async def _update_scale(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        context, target = context_of(request), _target(request, registry)
        body = await read_body(request, self._config.max_body_bytes)
        return json_response(await registry.update_scale(context, target, body))

    async def _patch_scale(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        context, target = context_of(request), _target(request, registry)
        return json_response(await registry.patch_scale(context, target, await self._read_patch(request, context)))

    async def _bind(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        context, target = context_of(request), _target(request, registry)
        await registry.bind(context, target, await read_body(request, self._config.max_body_bytes))
        return json_response(_success(201), 201)

    async def _evict(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        context, target = context_of(request), _target(request, registry)
        await registry.evict(context, target, await read_body(request, self._config.max_body_bytes))
        return json_response(_success(201), 201)

    async def _finalize(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        renderer, context, target = (
            self._renderer(request, registry.kind),
            context_of(request),
            _target(request, registry),
        )
        body = await read_body(request, self._config.max_body_bytes)
        return self._written(renderer, context, await registry.finalize(context, target, body))

    async def _read_patch(self, request: ApiRequest, context: RequestContext) -> Patch:
        media_type = media_type_of(request.header(b"content-type"))
        check_patch_type(media_type)
        applies = media_type == APPLY_PATCH
        context.force = check_patch_options(request, applies=applies)
        if applies:
            context.authorize_create = lambda: self._authorize(request, "create")
        raw = await read_bytes(request, self._config.max_body_bytes)
        if not raw.strip():
            raise BadRequestError("the request body is empty")
        body = parse(raw, YAML if applies and not raw.lstrip().startswith(b"{") else "")
        if media_type == JSON_PATCH and not isinstance(body.value, list):
            raise BadRequestError("a JSON Patch must be an array of operations")
        return Patch(media_type, body)

    async def _delete_options(self, request: ApiRequest, context: RequestContext) -> DeleteOptions:
        raw = await read_optional(request, self._config.max_body_bytes)
        options = delete_options(raw if raw is not None else {})
        if isinstance(raw, dict) and raw.get("dryRun"):
            context.dry_run = _dry_run(raw["dryRun"]) or context.dry_run
        grace = request.integer("gracePeriodSeconds")
        return DeleteOptions(
            options.grace_period_seconds if grace is None else grace,
            options.propagation_policy or request.value("propagationPolicy") or _orphans(request),
            options.uid,
            options.resource_version,
        )

    def _written(self, renderer: Renderer, context: RequestContext, written: Written) -> ApiResponse:
        response = renderer.single(written.obj, 201 if written.created else 200)
        response.headers += warning_headers(context.warnings)
        return response


def _serves(kind: KindDefinition, subresource: str) -> bool:
    return subresource in kind.subresources or (subresource == "finalize" and kind.kind == "Namespace")


def _target(request: ApiRequest, registry: Registry) -> Target:
    path = request.path
    return Target(registry.kind, path.namespace, path.name, path.subresource)


def _orphans(request: ApiRequest) -> str:
    orphan = request.flag("orphanDependents")
    return "" if orphan is None else "Orphan" if orphan else "Background"


def _dry_run(values: Any) -> bool:
    if not isinstance(values, list) or any(value != "All" for value in values):
        raise BadRequestError(f'dryRun: Unsupported value: {values}: supported values: "All"')
    return bool(values)


def context_of(request: ApiRequest) -> RequestContext:
    """Return what a write says beside its object. Raises 400."""
    validation = request.value("fieldValidation") or "Warn"
    if validation not in FIELD_VALIDATION:
        raise BadRequestError(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        )
    fence = request.header(b"windlass-fence")
    if fence:
        parse_claim(fence)
    return RequestContext(
        request.user, _dry_run(request.values("dryRun")), validation, fence, manager=manager_of(request)
    )


def list_options(request: ApiRequest) -> ListOptions:
    """Return the options of a list. Raises 400."""
    return ListOptions(
        request.value("labelSelector"),
        request.value("fieldSelector"),
        request.integer("limit") or 0,
        request.value("continue"),
        request.value("resourceVersion"),
        request.value("resourceVersionMatch"),
    )


def _success(code: int) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


def _deleted(kind: KindDefinition, written: Written) -> dict[str, Any]:
    metadata = written.obj["metadata"]
    details = ErrorDetails(group=kind.group, kind=kind.plural, name=metadata["name"], uid=metadata["uid"])
    shown = {"name": details.name, "group": details.group, "kind": details.kind, "uid": details.uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in shown.items() if value},
    }
