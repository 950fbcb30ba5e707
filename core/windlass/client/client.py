"""The asyncio client: verbs of the Kubernetes API on plain objects.

    client = Client(load_kubeconfig(path))
    pod = await client.get(PODS, "web-1", "default")

Every refusal is raised as the `windlass.errors.ApiError` subclass that its Status names.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.scheme import Resource
from windlass.apimachinery.status import from_status
from windlass.client.transport import HttpRequest, HttpResponse, Transport
from windlass.errors import ApiError, BadRequestError, UnavailableError

Obj = dict[str, Any]
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
FENCE_HEADER = "Windlass-Fence"
_EVENT = re.compile(rb'\{"type":"(ADDED|MODIFIED|DELETED|BOOKMARK)","object":')
MAX_LINE_BYTES = 8 * 1024 * 1024


class WatchEvent(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: Obj


@dataclass(frozen=True, slots=True)
class Fence:
    """A leader's claim: writes that carry it commit only while the Lease still says so."""

    lease_namespace: str
    lease_name: str
    holder_identity: str
    lease_transitions: int

    def header(self) -> str:
        """Return the header's value."""
        return f"{self.lease_namespace}/{self.lease_name}/{self.holder_identity}/{self.lease_transitions}"


class Client:
    """Verbs on resources. Cheap to make: several clients may share a transport."""

    def __init__(self, transport: Transport, *, user_agent: str = "windlass", fence: Fence | None = None) -> None:
        self.transport = transport
        self.user_agent = user_agent
        self.fence = fence

    def fenced(self, fence: Fence) -> "Client":
        """Return a client on the same transport whose writes carry the leader's claim."""
        return Client(self.transport, user_agent=self.user_agent, fence=fence)

    async def close(self) -> None:
        """Let go of the transport's connections."""
        await self.transport.close()

    # -- reading

    async def get(
        self, resource: Resource, name: str, namespace: str = "", *, resource_version: str = "", subresource: str = ""
    ) -> Obj:
        """Return one object (or one of its subresources). Raises NotFoundError."""
        params = _params(resourceVersion=resource_version)
        return await self._object("GET", path_of(resource, namespace, name, subresource), params=params)

    async def list(  # noqa: PLR0913 - the options of the API's list, each by keyword
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> Obj:
        """Return a List object: all, or a page of `limit`. `metadata_only`: items carry nothing but their metadata."""
        params = _params(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=str(limit or ""),
            resourceVersion=resource_version,
            **{"continue": continue_},
        )
        headers = {"Accept": METADATA_ONLY_LIST} if metadata_only else None
        return await self._object("GET", path_of(resource, namespace), params=params, headers=headers)

    async def watch(  # noqa: PLR0913 - the options of the API's watch, each by keyword
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_seconds: int = 0,
        allow_bookmarks: bool = True,
        metadata_only: bool = False,
        managed_fields: bool = True,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield events until the server ends the watch. Raises GoneError when the version is too old.

        `managed_fields` False leaves the record of owners out, which spares parsing it.
        A watch that is not read to its end must be closed: `async with contextlib.aclosing(client.watch(...))`.
        """
        params = _params(
            watch="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_seconds or ""),
            allowWatchBookmarks="true" if allow_bookmarks else "",
        )
        headers = self._headers({"Accept": METADATA_ONLY} if metadata_only else None)
        request = HttpRequest("GET", path_of(resource, namespace), params, headers)
        async with self.transport.stream(request) as stream:
            if stream.status != 200:
                body = b"".join([chunk async for chunk in stream.chunks])
                raise error_of(HttpResponse(stream.status, stream.headers, body))
            async for line in _lines(stream.chunks):
                yield _event(line) if managed_fields else _bare_event(line)

    # -- writing

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], namespace: str = "", *, subresource: str = "", name: str = ""
    ) -> Obj:
        """Create an object, or post to the subresource of the object `name`. The namespace defaults to the object's."""
        where = namespace or str(obj.get("metadata", {}).get("namespace") or "")
        return await self._object("POST", path_of(resource, where, name, subresource), body=obj)

    async def update(self, resource: Resource, obj: Mapping[str, Any], *, subresource: str = "") -> Obj:
        """Replace an object. Raises ConflictError when its resourceVersion is not the latest."""
        metadata = obj["metadata"]
        path = path_of(resource, metadata.get("namespace") or "", metadata["name"], subresource)
        return await self._object("PUT", path, body=obj)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        patch_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> Obj:
        """Patch an object: merge patch unless `patch_type` says otherwise."""
        path = path_of(resource, namespace, name, subresource)
        return await self._object("PATCH", path, body=patch, headers={"Content-Type": patch_type})

    async def delete(  # noqa: PLR0913 - the options of the API's delete, each by keyword
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> Obj:
        """Delete an object; `uid` and `resource_version` are preconditions (ConflictError when they fail)."""
        options = delete_options(grace_period_seconds, propagation_policy, uid, resource_version)
        return await self._object("DELETE", path_of(resource, namespace, name), body=options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        propagation_policy: str = "",
    ) -> Obj:
        """Delete all selected objects, or the first `limit` of them."""
        params = _params(labelSelector=label_selector, fieldSelector=field_selector, limit=str(limit or ""))
        options = delete_options(None, propagation_policy, "", "")
        return await self._object("DELETE", path_of(resource, namespace), params=params, body=options)

    async def bind(self, namespace: str, pod_name: str, node_name: str, uid: str = "") -> Obj:
        """Bind a pod to a node."""
        metadata = {"name": pod_name, "namespace": namespace, **({"uid": uid} if uid else {})}
        target = {"apiVersion": "v1", "kind": "Node", "name": node_name}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        return await self.create(_PODS, body, namespace, subresource="binding", name=pod_name)

    async def evict(
        self, namespace: str, pod_name: str, *, uid: str = "", grace_period_seconds: int | None = None
    ) -> Obj:
        """Evict a pod. Raises TooManyRequestsError while a disruption budget forbids it."""
        options = delete_options(grace_period_seconds, "", uid, "")
        metadata = {"name": pod_name, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
        return await self.create(_PODS, body, namespace, subresource="eviction", name=pod_name)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send any request; return the answer as it is. Raises ApiError for codes from 400 up."""
        query = list((params or {}).items())
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        sent = self._headers(headers, has_body=data is not None, writes=method not in {"GET", "HEAD"})
        response = await self.transport.request(HttpRequest(method, path, query, sent, data))
        if response.status >= 400:
            raise error_of(response)
        return response

    async def _object(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Obj:
        response = await self.raw(method, path, params=dict(params), body=body, headers=headers)
        try:
            return orjson.loads(response.body) if response.body else {}
        except orjson.JSONDecodeError as error:
            raise UnavailableError(f"{method} {path}: the answer is not JSON") from error

    def _headers(
        self, extra: Mapping[str, str] | None = None, *, has_body: bool = False, writes: bool = False
    ) -> dict[str, str]:
        headers = {"Accept": JSON, "User-Agent": self.user_agent}
        if has_body:
            headers["Content-Type"] = JSON
        if writes and self.fence is not None:
            headers[FENCE_HEADER] = self.fence.header()
        return {**headers, **(extra or {})}


_PODS = Resource("", "v1", "pods")


def path_of(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the URL path of a collection, an object or a subresource. Raises BadRequestError for impossible names."""
    for part in (namespace, name):
        if part in {".", ".."}:
            raise BadRequestError(f"{part!r} cannot be a name")
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    parts = [root]
    if namespace and resource.namespaced:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def delete_options(
    grace_period_seconds: int | None, propagation_policy: str, uid: str, resource_version: str
) -> dict[str, Any]:
    """Return the DeleteOptions body that says this."""
    options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if propagation_policy:
        options["propagationPolicy"] = propagation_policy
    preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
    if preconditions:
        options["preconditions"] = preconditions
    return options


def error_of(response: HttpResponse) -> ApiError:
    """Return the error that an answer tells of, with its Retry-After."""
    try:
        status = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = response.body[:200].decode("utf-8", "replace").strip()
        status = {"message": text or f"the server answered {response.status}"}
    error = from_status(status, response.status)
    retry_after = response.headers.get("retry-after", "")
    if retry_after.isdecimal() and not error.details.retry_after_seconds:
        error.details.retry_after_seconds = int(retry_after)
    return error


def _params(**params: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value in params.items() if value]


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a stream into its lines; one that ends within a line drops that line."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise UnavailableError("a line of the watch is longer than any object may be")
        for line in lines:
            if line:
                yield line


def _bare_event(line: bytes) -> WatchEvent:
    """Read an event without its object's managed fields."""
    begin = _EVENT.match(line)
    if begin is not None and line[-1:] == b"}":
        try:
            return WatchEvent(begin[1].decode(), envelope.parse(line[begin.end() : -1])[0])
        except ValueError:
            pass  # more follows the object: another server's way to write
    event = _event(line)
    if isinstance(metadata := event.object.get("metadata"), dict):
        metadata.pop("managedFields", None)
    return event


def _event(line: bytes) -> WatchEvent:
    try:
        event = orjson.loads(line)
        kind, obj = event["type"], event["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UnavailableError("a line of the watch is not an event") from error
    if kind == "ERROR":
        raise from_status(obj, int(obj.get("code") or 500))
    return WatchEvent(kind, obj)
