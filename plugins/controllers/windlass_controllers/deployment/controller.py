"""Drives Deployments: applies the plan's steps through ReplicaSets."""

from typing import Any

from windlass.apimachinery.meta import get_controller_of
from windlass.apis.resources import DEPLOYMENTS, PODS, REPLICASETS
from windlass.errors import AlreadyExistsError, ApiError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.deployment.annotations import REVISION, annotations_of
from windlass_controllers.deployment.plan import DeploymentPlan, Observed, plan_deployment
from windlass_controllers.deployment.replicasets import find_new, old_sets
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
from windlass_controllers.pods import phase_of
from windlass_controllers.replicaset.plan import is_same_status

Obj = dict[str, Any]


class DeploymentController:
    """One key is one Deployment. Waits until its cache shows its own writes before it takes the next step."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._deployments = context.informers.informer(DEPLOYMENTS)
        self._sets = context.informers.informer(REPLICASETS)
        self._pods = context.informers.informer(PODS)
        for informer in (self._sets, self._pods):
            informer.add_index(CONTROLLER_INDEX, controller_index)
        self._expected_sets = Expectations(self._sets, context.clock)
        self._expected_own = Expectations(self._deployments, context.clock)
        self.loop = KeyedLoop("deployment", context.clock)
        self.loop.feed(self._deployments, own_key)
        self.loop.feed(self._sets, keys_of_owner("Deployment", self._possible_owners))
        self.loop.feed(self._pods, self._keys_of_pod)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, replica_set: Obj) -> list[str]:
        return matching_owners(self._deployments.list(replica_set["metadata"]["namespace"]), replica_set)

    def _keys_of_pod(self, pod: Obj) -> list[str]:
        """Only Recreate looks at pods: it waits until the old ones have ended."""
        reference, namespace = get_controller_of(pod), pod["metadata"]["namespace"]
        if reference is None or reference["kind"] != "ReplicaSet":
            return []
        replica_set = self._sets.get(namespace, reference["name"])
        owner = get_controller_of(replica_set) if replica_set is not None else None
        deployment = self._deployments.get(namespace, owner["name"]) if owner is not None else None
        if deployment is None or (deployment["spec"].get("strategy") or {}).get("type") != "Recreate":
            return []
        return own_key(deployment)

    async def reconcile(self, key: str) -> float | None:
        """Take one Deployment one step further."""
        namespace, name = split_key(key)
        deployment = self._deployments.get(namespace, name)
        if deployment is None:
            self._expected_sets.forget(key)
            self._expected_own.forget(key)
            return None
        if not (self._expected_sets.are_met(key) and self._expected_own.are_met(key)):
            return 1.0  # the events that are awaited bring the key back; this is for one that gets lost
        candidates = self._sets.by_index(CONTROLLER_INDEX, deployment["metadata"]["uid"]) + self._sets.by_index(
            CONTROLLER_INDEX, orphans_of(namespace)
        )
        claim = plan_claim(deployment, candidates)
        sets = list(await settle_claim(self._client, DEPLOYMENTS, REPLICASETS, deployment, claim))
        observed = Observed(deployment, sets, self._old_pods_remain(deployment, sets), self._clock.now())
        plan = plan_deployment(observed)
        try:
            await self._apply(key, deployment, plan)
        except NotFoundError:
            return 1.0
        return plan.again_seconds

    def _old_pods_remain(self, deployment: Obj, sets: list[Obj]) -> bool:
        return any(
            phase_of(pod) not in {"Succeeded", "Failed"}
            for rs in old_sets(sets, find_new(deployment, sets))
            for pod in self._pods.by_index(CONTROLLER_INDEX, rs["metadata"]["uid"])
        )

    async def _apply(self, key: str, deployment: Obj, plan: DeploymentPlan) -> None:
        created = True
        if plan.create is not None:
            created = await self._create(key, deployment, plan)
        for replica_set in plan.updates:
            self._expected_sets.wrote(key, await self._client.update(REPLICASETS, replica_set))
        for replica_set in plan.deletes:
            metadata = replica_set["metadata"]
            await self._client.delete(
                REPLICASETS, metadata["name"], metadata["namespace"], uid=metadata["uid"],
                resource_version=metadata["resourceVersion"], propagation_policy="Background",
            )
            self._expected_sets.deleted(key, replica_set)
        if created:
            for message in plan.events:
                self._recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
            await self._report(key, await self._annotate(key, deployment, plan), plan.status)

    async def _annotate(self, key: str, deployment: Obj, plan: DeploymentPlan) -> Obj:
        if not plan.revision or annotations_of(deployment).get(REVISION) == plan.revision:
            return deployment
        annotations = {**annotations_of(deployment), REVISION: plan.revision}
        metadata = {**deployment["metadata"], "annotations": annotations}
        written = await self._client.update(DEPLOYMENTS, {**deployment, "metadata": metadata})
        self._expected_own.wrote(key, written)
        return written

    async def _report(self, key: str, deployment: Obj, status: Obj) -> None:
        if is_same_status(deployment.get("status"), status):
            return
        written = await self._client.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
        self._expected_own.wrote(key, written)

    async def _create(self, key: str, deployment: Obj, plan: DeploymentPlan) -> bool:
        """Create the new ReplicaSet. False when another one has its name: the next step tries another hash."""
        assert plan.create is not None
        metadata = plan.create["metadata"]
        try:
            made = await self._client.create(REPLICASETS, plan.create, metadata["namespace"])
        except AlreadyExistsError:
            found = await self._client.get(REPLICASETS, metadata["name"], metadata["namespace"])
            owner = get_controller_of(found)
            ours = owner is not None and owner["uid"] == deployment["metadata"]["uid"]
            if ours and find_new(deployment, [found]) is not None:
                self._expected_sets.wrote(key, found)
                return True
            await self._note_collision(key, deployment)
            return False
        except ApiError as error:
            message = f'Failed to create new replica set "{metadata["name"]}": {error}'
            self._recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
            raise
        self._expected_sets.wrote(key, made)
        return True

    async def _note_collision(self, key: str, deployment: Obj) -> None:
        before = deployment.get("status") or {}
        status = {**before, "collisionCount": int(before.get("collisionCount") or 0) + 1}
        await self._report(key, deployment, status)
