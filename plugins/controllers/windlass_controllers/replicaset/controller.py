"""Keeps as many pods alive as each ReplicaSet wants."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apimachinery.scheme import Resource
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


def _as_it_is(obj: Obj) -> Obj:
    return obj


@dataclass(frozen=True, slots=True)
class ReplicaKind:
    """A kind that keeps a number of pods; `as_replica_set` shows one of its objects with a ReplicaSet's fields."""

    controller: str
    kind: str
    resource: Resource
    as_replica_set: Callable[[Obj], Obj] = _as_it_is


REPLICA_SET = ReplicaKind("replicaset", "ReplicaSet", REPLICASETS)


class ReplicaSetController:
    """One key is one ReplicaSet. Counts only in a cache that shows all its own writes, so it never overshoots."""

    def __init__(self, context: ControllerContext, replica_kind: ReplicaKind = REPLICA_SET) -> None:
        self._client, self._clock = context.client, context.clock
        self._resource, self._view = replica_kind.resource, replica_kind.as_replica_set
        self._sets = context.informers.informer(self._resource)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self._writer = PodWriter(context, self._expected)
        self.loop = KeyedLoop(replica_kind.controller, context.clock)
        self.loop.feed(self._sets, own_key)
        self.loop.feed(self._pods, keys_of_owner(replica_kind.kind, self._possible_owners))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, pod: Obj) -> list[str]:
        return matching_owners(map(self._view, self._sets.list(pod["metadata"]["namespace"])), pod)

    async def reconcile(self, key: str) -> float | None:
        """Create or delete what one ReplicaSet lacks or has too much, and report."""
        namespace, name = split_key(key)
        stored = self._sets.get(namespace, name)
        if stored is None:
            self._expected.forget(key)
            return None
        if not self._expected.are_met(key):
            return 1.0  # the pod events that are awaited bring the key back; this is for one that gets lost
        replica_set = self._view(stored)
        uid = replica_set["metadata"]["uid"]
        candidates = self._pods.by_index(CONTROLLER_INDEX, uid) + self._pods.by_index(
            CONTROLLER_INDEX, orphans_of(namespace)
        )
        claim = plan_claim(replica_set, candidates)
        owned = await settle_claim(self._client, self._resource, PODS, replica_set, claim)
        failure = None
        if not is_being_deleted(replica_set):
            plan = plan_replicas(replica_set, list(owned), self._clock.now())
            failure = await self._apply(key, replica_set, plan)
        again = await self._report(stored, list(owned), failure)
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

    async def _report(self, stored: Obj, owned: list[Obj], failure: tuple[str, ApiError] | None) -> float | None:
        told = (failure[0], str(failure[1])) if failure is not None else None
        status, again = plan_status(self._view(stored), owned, self._clock.now(), told)
        if not is_same_status(stored.get("status"), status):
            try:
                await self._client.update(self._resource, {**stored, "status": status}, subresource="status")
            except NotFoundError:
                return None
        return again
