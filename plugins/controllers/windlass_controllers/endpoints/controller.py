"""Keeps the Endpoints of every Service that selects pods."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import ENDPOINTS, PODS, SERVICES
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.endpoints.plan import MANAGED_BY, MANAGER, desired_object, is_same
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.service_selection import ServiceSelection, selects_pods

Obj = dict[str, Any]


class EndpointsController:
    """One key is one Service. The object has the Service's name; a conflict brings the key back."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._services = context.informers.informer(SERVICES)
        self._pods = context.informers.informer(PODS)
        self._endpoints = context.informers.informer(ENDPOINTS)
        self._selection = ServiceSelection(self._services, self._pods)
        self.loop = KeyedLoop("endpoints", context.clock)
        self.loop.feed(self._services, own_key)
        self.loop.feed(self._pods, self._selection.services_of)
        self.loop.feed(self._endpoints, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Bring one Service's Endpoints in line; those of a Service without a selector are somebody else's."""
        namespace, name = split_key(key)
        service = self._services.get(namespace, name)
        existing = self._endpoints.get(namespace, name)
        if service is None or is_being_deleted(service) or not selects_pods(service):
            ours = existing is not None and (existing["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER
            if ours and existing is not None:
                await self._delete(existing)
            return None
        wanted = desired_object(service, self._selection.pods_of(service), existing)
        if is_same(wanted, existing):
            return None
        if existing is None:
            await self._client.create(ENDPOINTS, wanted, namespace)
        else:
            await self._client.update(ENDPOINTS, wanted)
        return None

    async def _delete(self, existing: Obj) -> None:
        metadata = existing["metadata"]
        try:
            await self._client.delete(ENDPOINTS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return
