"""Empties namespaces that are being deleted, then lets them go. Safe to be killed at any point: it starts over."""

from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.apis.resources import NAMESPACES
from windlass.client.discovery import DiscoveredResource, Discovery, discover
from windlass.clock import rfc3339
from windlass.errors import ApiError, MethodNotAllowedError, NotFoundError
from windlass.logs import get_logger
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.batches import slow_start
from windlass_controllers.keyed import KeyedLoop, own_key
from windlass_controllers.namespace.plan import Emptying, finalized, needs_emptying, plan_status

Obj = dict[str, Any]
CHUNK = 500
CONCURRENCY = 16
AGAIN_SECONDS = 1.0
MAX_AGAIN_SECONDS = 15.0
DISCOVERY_SECONDS = 30.0
log = get_logger(__name__)


class NamespaceController:
    """One key is one namespace."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        self._namespaces = context.informers.informer(NAMESPACES)
        self._discovery: tuple[float, Discovery] | None = None
        self._rounds: dict[str, int] = {}
        self.loop = KeyedLoop("namespace", context.clock)
        self.loop.feed(self._namespaces, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, name: str) -> float | None:
        """Empty one namespace as far as possible now; ask to be called again while something is left."""
        cached = self._namespaces.get("", name)
        if cached is None or not needs_emptying(cached):
            self._rounds.pop(name, None)
            return None
        try:
            namespace = await self._client.get(NAMESPACES, name)
        except NotFoundError:
            return None
        if not needs_emptying(namespace):
            return None
        found = await self._empty(name)
        namespace = await self._report(namespace, found)
        if found.is_empty:
            path = f"/api/v1/namespaces/{name}/finalize"
            await self._client.raw("PUT", path, body=finalized(namespace))
            self._rounds.pop(name, None)
            return None
        self._rounds[name] = rounds = self._rounds.get(name, 0) + 1
        return min(MAX_AGAIN_SECONDS, AGAIN_SECONDS * rounds)

    async def _report(self, namespace: Obj, found: Emptying) -> Obj:
        status = plan_status(namespace, found, rfc3339(self._clock.now()))
        if status == namespace.get("status"):
            return namespace
        return await self._client.update(NAMESPACES, {**namespace, "status": status}, subresource="status")

    async def _discover(self) -> Discovery:
        """Return what is served; asked anew after half a minute, or at once after failures."""
        now = self._clock.monotonic()
        if self._discovery is None or now - self._discovery[0] > DISCOVERY_SECONDS or self._discovery[1].failures:
            self._discovery = (now, await discover(self._client))
        return self._discovery[1]

    async def _empty(self, namespace: str) -> Emptying:
        discovery = await self._discover()
        found = Emptying(discovery_failures=discovery.failures)
        for item in discovery.resources:
            if not item.resource.namespaced or not {"list", "delete"} <= item.verbs:
                continue
            try:
                await self._empty_resource(namespace, item, found)
            except ApiError as error:
                found.content_failures.append(f"{item.resource.qualified}: {error}")
                log.warning("namespace_not_emptied", namespace=namespace, resource=item.resource.qualified,
                            error=str(error))
        return found

    async def _empty_resource(self, namespace: str, item: DiscoveredResource, found: Emptying) -> None:
        """Delete a resource's objects, a chunk at a time; note what stays, waiting for its finalizers or grace."""
        resource, whole = item.resource, "deletecollection" in item.verbs
        continue_, kept = "", 0
        while True:
            page = await self._page(resource, namespace, continue_)
            items = page.get("items") or []
            fresh = [obj for obj in items if not obj["metadata"].get("deletionTimestamp")]
            if fresh and whole and not continue_:
                try:
                    await self._client.delete_collection(
                        resource, namespace, limit=CHUNK, propagation_policy="Background"
                    )
                except MethodNotAllowedError:
                    whole = False
                else:
                    page = await self._page(resource, namespace, "")
                    items = page.get("items") or []
                    if _has_fresh(items):
                        continue
                    fresh = []
            await self._delete_each(resource, namespace, fresh)
            kept += len(items)
            found.note(resource.qualified, items, kept)
            continue_ = (page.get("metadata") or {}).get("continue") or ""
            if not continue_:
                return

    async def _page(self, resource: Resource, namespace: str, continue_: str) -> Obj:
        return await self._client.list(resource, namespace, limit=CHUNK, continue_=continue_, metadata_only=True)

    async def _delete_each(self, resource: Resource, namespace: str, items: list[Obj]) -> None:
        async def delete(obj: Obj) -> None:
            metadata = obj["metadata"]
            try:
                await self._client.delete(
                    resource, metadata["name"], namespace, uid=metadata["uid"], propagation_policy="Background"
                )
            except NotFoundError:
                log.debug("already_gone", resource=resource.qualified, name=metadata["name"])

        error = await slow_start(items, delete, first=CONCURRENCY)
        if error is not None:
            raise error


def _has_fresh(items: list[Obj]) -> bool:
    return any(not obj["metadata"].get("deletionTimestamp") for obj in items)
