"""Deletes Jobs some time after their end, as `ttlSecondsAfterFinished` says."""

from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import JOBS
from windlass.clock import parse_rfc3339
from windlass.errors import ConflictError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key, split_key

Obj = dict[str, Any]


def seconds_left(job: Obj, now: datetime) -> float | None:
    """Return how long an ended Job still stays; None when it goes on, or stays for ever. Pure."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or is_being_deleted(job):
        return None
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in {"Complete", "Failed"} and condition.get("status") == "True":
            return int(ttl) - (now - parse_rfc3339(condition["lastTransitionTime"])).total_seconds()
    return None


class TtlAfterFinishedController:
    """One key is one Job."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        self._jobs = context.informers.informer(JOBS)
        self.loop = KeyedLoop("ttlafterfinished", context.clock)
        self.loop.feed(self._jobs, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Delete a Job whose time is over; come back for one whose time is to come."""
        job = self._jobs.get(*split_key(key))
        left = seconds_left(job, self._clock.now()) if job is not None else None
        if job is None or left is None:
            return None
        if left > 0:
            return left
        metadata = job["metadata"]
        try:
            # The version guards against a TTL that was raised a moment ago.
            await self._client.delete(
                JOBS, metadata["name"], metadata["namespace"], propagation_policy="Foreground",
                uid=metadata["uid"], resource_version=metadata["resourceVersion"],
            )  # fmt: skip
        except (NotFoundError, ConflictError):
            return None
        return None
