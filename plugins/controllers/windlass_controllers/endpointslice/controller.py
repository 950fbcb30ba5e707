"""Keeps the EndpointSlices of every Service that selects pods."""

from collections.abc import Callable, Mapping
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import ENDPOINTSLICES, NODES, PODS, SERVICES
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.endpointslice.desired import ZONE, desired_endpoints, families_of
from windlass_controllers.endpointslice.plan import (
    MANAGED_BY,
    MANAGER,
    SERVICE_NAME,
    SlicePlan,
    plan_slices,
    service_owner,
)
from windlass_controllers.endpointslice.writer import SliceWriter
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.service_selection import ServiceSelection, selects_pods

Obj = dict[str, Any]
SERVICE_INDEX = "service"


def slices_of(manager: str) -> Callable[[Mapping[str, Any]], list[str]]:
    """Return an index of the slices that a controller made, by the key of their Service."""

    def index(obj: Mapping[str, Any]) -> list[str]:
        labels = obj["metadata"].get("labels") or {}
        ours = labels.get(MANAGED_BY) == manager and SERVICE_NAME in labels
        return [f"{obj['metadata']['namespace']}/{labels[SERVICE_NAME]}"] if ours else []

    return index


class EndpointSliceController:
    """One key is one Service. Never plans on slices that do not show its own last writes."""

    def __init__(self, context: ControllerContext) -> None:
        informers = context.informers
        self._services = informers.informer(SERVICES)
        self._pods = informers.informer(PODS)
        self._nodes = informers.informer(NODES)
        self._slices = informers.informer(ENDPOINTSLICES)
        self._slices.add_index(SERVICE_INDEX, slices_of(MANAGER))
        self._selection = ServiceSelection(self._services, self._pods)
        self._writer = SliceWriter(context.client, self._slices, context.clock)
        self.loop = KeyedLoop("endpointslice", context.clock)
        self.loop.feed(self._services, own_key)
        self.loop.feed(self._pods, self._selection.services_of)
        self.loop.feed(self._slices, slices_of(MANAGER))

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Bring one Service's slices in line."""
        namespace, name = split_key(key)
        service = self._services.get(namespace, name)
        if service is None or is_being_deleted(service):
            self._writer.expected.forget(key)
            return None
        if not self._writer.expected.are_met(key):
            return 1.0
        existing = [s for s in self._slices.by_index(SERVICE_INDEX, key) if not is_being_deleted(s)]
        if not selects_pods(service):
            await self._writer.write(key, namespace, SlicePlan(delete=existing))
            return None
        zones = {n["metadata"]["name"]: (n["metadata"].get("labels") or {}).get(ZONE, "") for n in self._nodes.list()}
        plan = plan_slices(
            service_owner(service),
            desired_endpoints(service, self._selection.pods_of(service), zones),
            existing,
            families_of(service),
        )
        await self._writer.write(key, namespace, plan)
        return None
