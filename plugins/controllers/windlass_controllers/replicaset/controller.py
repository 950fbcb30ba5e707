"""Keeps as many pods alive as each ReplicaSet wants."""

import asyncio
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import PODS, REPLICASETS
from windlass.errors import AlreadyExistsError, ApiError, NotFoundError, RequestTimeoutError, UnavailableError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.batches import slow_start
from windlass_controllers.expectations import Expectations
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.ownership import (
    CONTROLLER_INDEX,
    controller_index,
    keys_of_owner,
    matching_owners,
    orphans_of,
    plan_claim,
    settle_claim,
)
from windlass_controllers.pods import random_suffix
from windlass_controllers.replicaset.plan import ReplicaPlan, is_same_status, new_pod, plan_replicas, plan_status

Obj = dict[str, Any]
CREATE_ATTEMPTS = 4
RETRY_SECONDS = 0.2


class ReplicaSetController:
    """One key is one ReplicaSet. Counts only in a cache that shows all its own writes, so it never overshoots."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._sets = context.informers.informer(REPLICASETS)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self.loop = KeyedLoop("replicaset", context.clock)
        self.loop.feed(self._sets, own_key)
        self.loop.feed(self._pods, keys_of_owner("ReplicaSet", self._possible_owners))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, pod: Obj) -> list[str]:
        return matching_owners(self._sets.list(pod["metadata"]["namespace"]), pod)

    async def reconcile(self, key: str) -> float | None:
        """Create or delete what one ReplicaSet lacks or has too much, and report."""
        namespace, name = split_key(key)
        replica_set = self._sets.get(namespace, name)
        if replica_set is None:
            self._expected.forget(key)
            return None
        if not self._expected.are_met(key):
            return 1.0  # the pod events that are awaited bring the key back; this is for one that gets lost
        uid = replica_set["metadata"]["uid"]
        candidates = self._pods.by_index(CONTROLLER_INDEX, uid) + self._pods.by_index(
            CONTROLLER_INDEX, orphans_of(namespace)
        )
        claim = plan_claim(replica_set, candidates)
        owned = await settle_claim(self._client, REPLICASETS, PODS, replica_set, claim)
        failure = None
        if not is_being_deleted(replica_set):
            plan = plan_replicas(replica_set, list(owned), self._clock.now())
            failure = await self._apply(key, replica_set, plan)
        again = await self._report(replica_set, list(owned), failure)
        if failure is not None:
            raise failure[1]
        return again

    async def _apply(self, key: str, replica_set: Obj, plan: ReplicaPlan) -> tuple[str, ApiError] | None:
        if plan.create:
            error = await slow_start(range(plan.create), lambda _: self._create(key, replica_set))
            return ("FailedCreate", error) if error is not None else None
        error = await slow_start(plan.delete, lambda pod: self._delete(key, replica_set, pod), first=len(plan.delete))
        return ("FailedDelete", error) if error is not None else None

    async def _report(self, replica_set: Obj, owned: list[Obj], failure: tuple[str, ApiError] | None) -> float | None:
        told = (failure[0], str(failure[1])) if failure is not None else None
        status, again = plan_status(replica_set, owned, self._clock.now(), told)
        if not is_same_status(replica_set.get("status"), status):
            try:
                await self._client.update(REPLICASETS, {**replica_set, "status": status}, subresource="status")
            except NotFoundError:
                return None
        return again

    async def _create(self, key: str, replica_set: Obj) -> None:
        try:
            pod = await self._create_once(replica_set)
        except ApiError as error:
            if not _namespace_is_going(error):
                self._recorder.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._expected.wrote(key, pod)
        self._recorder.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _create_once(self, replica_set: Obj) -> Obj:
        """Create exactly one pod, also when an answer is lost: the same name again finds what the first try made."""
        namespace = replica_set["metadata"]["namespace"]
        pod, uncertain = new_pod(replica_set, random_suffix()), False
        for attempt in range(CREATE_ATTEMPTS):
            try:
                return await self._client.create(PODS, pod, namespace)
            except AlreadyExistsError:
                found = await self._client.get(PODS, pod["metadata"]["name"], namespace)
                if uncertain and _is_of(found, replica_set):
                    return found
                pod = new_pod(replica_set, random_suffix())
            except (RequestTimeoutError, UnavailableError):
                uncertain = True
                if attempt == CREATE_ATTEMPTS - 1:
                    raise
                await self._clock.sleep(RETRY_SECONDS * 2**attempt)
        return await self._client.create(PODS, pod, namespace)

    async def _delete(self, key: str, replica_set: Obj, pod: Obj) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return
        except ApiError as error:
            message = f"Error deleting: {error}"
            self._recorder.event(replica_set, "Warning", "FailedDelete", message)
            raise
        self._expected.deleted(key, pod)
        self._recorder.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")
        await asyncio.sleep(0)


def _is_of(pod: Obj, owner: Obj) -> bool:
    references = pod["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == owner["metadata"]["uid"] for reference in references)


def _namespace_is_going(error: ApiError) -> bool:
    return any(cause.reason == "NamespaceTerminating" for cause in error.details.causes)
