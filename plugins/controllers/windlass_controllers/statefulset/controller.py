"""Keeps the numbered pods of each StatefulSet."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
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
from windlass_controllers.replicaset.plan import is_same_status
from windlass_controllers.revision_history import RevisionHistory
from windlass_controllers.revisions import hash_of
from windlass_controllers.statefulset.claim_writer import ClaimWriter
from windlass_controllers.statefulset.claims import is_claim_of
from windlass_controllers.statefulset.identity import new_pod, ordinal_of
from windlass_controllers.statefulset.plan import Revisions, StatefulPlan, plan_pods, plan_status

Obj = dict[str, Any]


class StatefulSetController:
    """One key is one StatefulSet. Acts only on caches that show all its own writes: no number ever has two pods."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        informers = context.informers
        self._sets = informers.informer(STATEFULSETS)
        self._pods = informers.informer(PODS)
        self._revisions = informers.informer(CONTROLLERREVISIONS)
        for informer in (self._pods, self._revisions):
            informer.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self._written = Expectations(self._sets, context.clock)
        self._writer = PodWriter(context, self._expected)
        self._claims = ClaimWriter(context)
        self._history = RevisionHistory(context.client, self._revisions, STATEFULSETS, context.clock)
        self.loop = KeyedLoop("statefulset", context.clock)
        self.loop.feed(self._sets, own_key)
        self.loop.feed(self._pods, keys_of_owner("StatefulSet", self._possible_owners))
        self.loop.feed(self._claims.informer, self._sets_of_claim)
        self.loop.feed(self._revisions, keys_of_owner("StatefulSet", lambda _revision: ()))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, pod: Obj) -> list[str]:
        return matching_owners(self._sets.list(pod["metadata"]["namespace"]), pod)

    def _sets_of_claim(self, claim: Obj) -> list[str]:
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        return [key for one in self._sets.list(namespace) if is_claim_of(one, name) for key in own_key(one)]

    async def reconcile(self, key: str) -> float | None:
        """Bring one StatefulSet a step on, and report."""
        namespace, name = split_key(key)
        stateful_set = self._sets.get(namespace, name)
        if stateful_set is None:
            for memory in (self._expected, self._written, self._history):
                memory.forget(key)
            return None
        if not (self._expected.are_met(key) and self._written.are_met(key) and self._history.is_current(key)):
            return 1.0
        owned = await self._claim(namespace, stateful_set)
        if is_being_deleted(stateful_set):
            return None
        revisions = await self._settle_revisions(key, stateful_set, owned)
        if revisions is None:
            return 0.0  # the name was taken: the new collision count comes back as an event
        plan = plan_pods(stateful_set, owned, revisions, self._clock.now())
        await self._claims.settle(stateful_set, owned)
        failure = await self._apply(key, stateful_set, plan)
        await self._report(key, stateful_set, owned, revisions)
        if failure is not None:
            raise failure
        return plan.again_seconds

    async def _claim(self, namespace: str, stateful_set: Obj) -> list[Obj]:
        """Return the set's own pods; of orphans only those that have one of its names."""
        owned = self._pods.by_index(CONTROLLER_INDEX, stateful_set["metadata"]["uid"])
        orphans = self._pods.by_index(CONTROLLER_INDEX, orphans_of(namespace))
        candidates = [*owned, *(pod for pod in orphans if ordinal_of(stateful_set, pod) is not None)]
        claim = plan_claim(stateful_set, candidates)
        return list(await settle_claim(self._client, STATEFULSETS, PODS, stateful_set, claim))

    async def _settle_revisions(self, key: str, stateful_set: Obj, owned: list[Obj]) -> Revisions | None:
        known = (stateful_set.get("status") or {}).get("currentRevision")
        before = {revision["metadata"]["name"]: revision for revision in self._history.of(stateful_set)}
        keep = [hash_of(before[known])] if known in before else []
        update = await self._history.settle(key, stateful_set, owned, keep)
        if update is None:
            return None
        return Revisions(before.get(known or "", update), update)

    async def _apply(self, key: str, stateful_set: Obj, plan: StatefulPlan) -> ApiError | None:
        refused = await slow_start(
            plan.delete, lambda pod: self._writer.delete(key, stateful_set, pod), first=max(1, len(plan.delete))
        )
        made = await slow_start(plan.create, lambda step: self._create(key, stateful_set, *step))
        return made or refused

    async def _create(self, key: str, stateful_set: Obj, ordinal: int, revision: Obj) -> None:
        """Create a pod's claims, then the pod."""
        await self._claims.create(stateful_set, ordinal)
        await self._writer.create(key, stateful_set, lambda _suffix: new_pod(stateful_set, ordinal, revision))

    async def _report(self, key: str, stateful_set: Obj, owned: list[Obj], revisions: Revisions) -> None:
        collisions = int((stateful_set.get("status") or {}).get("collisionCount") or 0)
        status = plan_status(stateful_set, owned, revisions, collisions, self._clock.now())
        if is_same_status(stateful_set.get("status"), status):
            return
        try:
            written = await self._client.update(STATEFULSETS, {**stateful_set, "status": status}, subresource="status")
        except NotFoundError:
            return
        self._written.wrote(key, written)
