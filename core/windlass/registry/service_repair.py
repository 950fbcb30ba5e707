"""The repair pass over reservations: frees what no Service holds, reserves what one holds without.

Runs in every API server, at start and then now and then; several at once do no harm, as every step is conditional. A
reservation younger than any request can last is left alone: its Service may be about to be committed.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from windlass.clock import parse_rfc3339
from windlass.errors import StoreUnavailableError, UnknownOutcomeError
from windlass.logs import get_logger
from windlass.registry.backend import Backend
from windlass.registry.reservations import ADDRESSES, NODE_PORTS, Held, Owner, Reservations
from windlass.registry.service_allocation import holdings

MIN_AGE_SECONDS = 300.0
INTERVAL_SECONDS = 600.0
log = get_logger(__name__)


class ServiceRepair:
    """The pass, and the loop that repeats it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._sorts = {sort: Reservations(backend, sort) for sort in (ADDRESSES, NODE_PORTS)}

    async def run(self) -> None:
        """Repair until cancelled."""
        await self._backend.cache.wait_synced()
        while True:
            try:
                await self.once()
            except (StoreUnavailableError, UnknownOutcomeError) as error:
                log.warning("reservations_not_repaired", error=str(error))
            await self._backend.clock.sleep(INTERVAL_SECONDS)

    async def once(self) -> tuple[int, int]:
        """Make one pass; return how many reservations were freed and how many were made."""
        held = [one for sort in self._sorts.values() for one in await sort.all()]
        freed = 0
        for one in held:
            if self._is_old(one) and not await self._is_held(one):
                freed += await self._sorts[one.resource].drop(one)
        made = await self._reserve_missing({(one.resource, one.value): one.owner for one in held})
        if freed or made:
            log.info("reservations_repaired", freed=freed, made=made)
        return freed, made

    def _is_old(self, held: Held) -> bool:
        age = self._backend.clock.now() - parse_rfc3339(held.made)
        return age.total_seconds() >= MIN_AGE_SECONDS

    async def _is_held(self, held: Held) -> bool:
        """Whether the owner has it, by the cache's word or else by the store's."""
        owner = held.owner
        cached = self._backend.reader.get("services", owner.namespace, owner.name)
        if cached is not None and _holds(cached, held):
            return True
        stored = await self._backend.store.get(f"core/services/{owner.namespace}/{owner.name}")
        return stored is not None and _holds(orjson.loads(stored.value), held)

    async def _reserve_missing(self, known: Mapping[tuple[str, str], Owner]) -> int:
        """Reserve what Services hold from a time before there were reservations."""
        made = 0
        for service in self._backend.reader.list("services"):
            meta = service["metadata"]
            owner = Owner(meta["namespace"], meta["name"], meta["uid"])
            for sort, value in holdings(service):
                holder = known.get((sort, value))
                if holder is None:
                    made += await self._sorts[sort].take(value, owner)
                elif holder.uid != owner.uid:
                    log.warning("given_out_twice", what=sort, value=value, first=f"{holder.namespace}/{holder.name}",
                                second=f"{owner.namespace}/{owner.name}")  # fmt: skip
        return made


def _holds(service: Mapping[str, Any], held: Held) -> bool:
    return service["metadata"]["uid"] == held.owner.uid and (held.resource, held.value) in holdings(service)
