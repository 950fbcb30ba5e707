"""Writes a slice plan, and remembers what the cache has to show before the next one is made."""

from typing import Any

from windlass.apis.resources import ENDPOINTSLICES
from windlass.client.client import Client
from windlass.client.informer import Informer
from windlass.clock import Clock
from windlass.errors import NotFoundError
from windlass_controllers.endpointslice.plan import SlicePlan
from windlass_controllers.expectations import Expectations

Obj = dict[str, Any]


class SliceWriter:
    """The writes of one controller, by key."""

    def __init__(self, client: Client, slices: Informer, clock: Clock) -> None:
        self._client = client
        self.expected = Expectations(slices, clock)

    async def write(self, key: str, namespace: str, plan: SlicePlan) -> None:
        """Carry a plan out. Raises ApiError; a slice that is gone meanwhile brings the key back by its event."""
        for made in plan.create:
            self.expected.wrote(key, await self._client.create(ENDPOINTSLICES, made, namespace))
        for changed in plan.update:
            try:
                self.expected.wrote(key, await self._client.update(ENDPOINTSLICES, changed))
            except NotFoundError:
                continue
        for gone in plan.delete:
            await self._delete(key, gone)

    async def _delete(self, key: str, one: Obj) -> None:
        metadata = one["metadata"]
        try:
            await self._client.delete(ENDPOINTSLICES, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return
        self.expected.deleted(key, one)
