"""Mirrors hand-made Endpoints of Services without a selector into EndpointSlices, which is all that proxies read."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.endpointslice.controller import SERVICE_INDEX, slices_of
from windlass_controllers.endpointslice.plan import SlicePlan, plan_slices
from windlass_controllers.endpointslice.writer import SliceWriter
from windlass_controllers.endpointslicemirroring.plan import MANAGER, is_mirrored, mirror_owner, mirrored_endpoints
from windlass_controllers.keyed import KeyedLoop, own_key, split_key

Obj = dict[str, Any]
MIRROR_INDEX = f"mirror-{SERVICE_INDEX}"


class EndpointSliceMirroringController:
    """One key is one Endpoints object, which has its Service's name."""

    def __init__(self, context: ControllerContext) -> None:
        informers = context.informers
        self._services = informers.informer(SERVICES)
        self._endpoints = informers.informer(ENDPOINTS)
        self._slices = informers.informer(ENDPOINTSLICES)
        self._slices.add_index(MIRROR_INDEX, slices_of(MANAGER))
        self._writer = SliceWriter(context.client, self._slices, context.clock)
        self.loop = KeyedLoop("endpointslicemirroring", context.clock)
        self.loop.feed(self._services, own_key)
        self.loop.feed(self._endpoints, own_key)
        self.loop.feed(self._slices, slices_of(MANAGER))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Bring the slices of one Endpoints object in line."""
        if not self._writer.expected.are_met(key):
            return 1.0
        namespace, name = split_key(key)
        endpoints = self._endpoints.get(namespace, name)
        existing = [s for s in self._slices.by_index(MIRROR_INDEX, key) if not is_being_deleted(s)]
        if endpoints is None or not is_mirrored(endpoints, self._services.get(namespace, name)):
            await self._writer.write(key, namespace, SlicePlan(delete=existing))
            return None
        plan = plan_slices(mirror_owner(endpoints), mirrored_endpoints(endpoints), existing, ())
        await self._writer.write(key, namespace, plan)
        return None
