"""Writes ControllerRevisions as their plan says."""

from collections.abc import Sequence
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.apis.resources import CONTROLLERREVISIONS
from windlass.client.client import Client
from windlass.client.informer import Informer
from windlass.clock import Clock
from windlass.errors import AlreadyExistsError, NotFoundError
from windlass_controllers.expectations import Expectations
from windlass_controllers.ownership import CONTROLLER_INDEX
from windlass_controllers.revisions import HASH_LABEL, plan_revisions

Obj = dict[str, Any]
DEFAULT_LIMIT = 10


class RevisionHistory:
    """The snapshots of one controller's objects. `owners` is the collection that they belong to."""

    def __init__(self, client: Client, revisions: Informer, owners: Resource, clock: Clock) -> None:
        self._client = client
        self._revisions = revisions
        self._owners = owners
        self._expected = Expectations(revisions, clock)

    def is_current(self, key: str) -> bool:
        """Say whether the cache shows all of the key's writes."""
        return self._expected.are_met(key)

    def forget(self, key: str) -> None:
        """Forget a key whose object is no more."""
        self._expected.forget(key)

    def of(self, owner: Obj) -> list[Obj]:
        """Return the owner's snapshots."""
        return list(self._revisions.by_index(CONTROLLER_INDEX, owner["metadata"]["uid"]))

    async def settle(self, key: str, owner: Obj, pods: Sequence[Obj], keep: Sequence[str] = ()) -> Obj | None:
        """Return the present template's snapshot, made if need be; None when its name was taken and is counted up.

        `keep` are hashes in use beside those of the pods.
        """
        used = {*keep, *((p["metadata"].get("labels") or {}).get(HASH_LABEL, "") for p in pods)}
        collisions = int((owner.get("status") or {}).get("collisionCount") or 0)
        limit = owner["spec"].get("revisionHistoryLimit")
        plan = plan_revisions(owner, self.of(owner), used, collisions, DEFAULT_LIMIT if limit is None else int(limit))
        namespace = owner["metadata"]["namespace"]
        current = plan.current
        if plan.create:
            try:
                current = await self._client.create(CONTROLLERREVISIONS, current, namespace)
            except AlreadyExistsError:
                found = await self._client.get(CONTROLLERREVISIONS, current["metadata"]["name"], namespace)
                if found.get("data") != current["data"] or not _is_owned(found, owner):
                    await self._count_collision(owner, collisions + 1)
                    return None
                current = found
            self._expected.wrote(key, current)
        elif plan.renumber:
            current = await self._client.update(CONTROLLERREVISIONS, current)
            self._expected.wrote(key, current)
        for old in plan.delete:
            await self._delete(key, old)
        return current

    async def _delete(self, key: str, old: Obj) -> None:
        metadata = old["metadata"]
        try:
            await self._client.delete(CONTROLLERREVISIONS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return
        self._expected.deleted(key, old)

    async def _count_collision(self, owner: Obj, count: int) -> None:
        status = {**(owner.get("status") or {}), "collisionCount": count}
        await self._client.update(self._owners, {**owner, "status": status}, subresource="status")


def _is_owned(revision: Obj, owner: Obj) -> bool:
    references = revision["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == owner["metadata"]["uid"] for reference in references)
