"""Keeps as many pods alive as each ReplicaSet wants."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import PODS, REPLICASETS
from windlass.errors import ApiError, NotFoundError
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
from windlass_controllers.pod_writer import PodWriter
from windlass_controllers.replicaset.plan import ReplicaPlan, is_same_status, new_pod, plan_replicas, plan_status

Obj = dict[str, Any]


class ReplicaSetController:
    """One key is one ReplicaSet. Counts only in a cache that shows all its own writes, so it never overshoots."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        self._sets = context.informers.informer(REPLICASETS)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self._writer = PodWriter(context, self._expected)
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
            error = await slow_start(
                range(plan.create),
                lambda _: self._writer.create(key, replica_set, lambda suffix: new_pod(replica_set, suffix)),
            )
            return ("FailedCreate", error) if error is not None else None
        error = await slow_start(
            plan.delete, lambda pod: self._writer.delete(key, replica_set, pod), first=len(plan.delete)
        )
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
