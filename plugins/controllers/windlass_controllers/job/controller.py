"""Runs Jobs."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import JOBS, PODS
from windlass.errors import ApiError, ConflictError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.batches import slow_start
from windlass_controllers.expectations import Expectations
from windlass_controllers.job.plan import JobPlan, PodWanted, plan_job
from windlass_controllers.job.tally import FINALIZER, is_tracked
from windlass_controllers.job.template import new_pod
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

Obj = dict[str, Any]


class JobController:
    """One key is one Job. Counts only in caches that show all its own writes, of pods and of the Job."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._jobs = context.informers.informer(JOBS)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self._written = Expectations(self._jobs, context.clock)
        self._writer = PodWriter(context, self._expected)
        self.loop = KeyedLoop("job", context.clock)
        self.loop.feed(self._jobs, own_key)
        self.loop.feed(self._pods, keys_of_owner("Job", self._possible_owners))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, pod: Obj) -> list[str]:
        return matching_owners(self._jobs.list(pod["metadata"]["namespace"]), pod)

    async def reconcile(self, key: str) -> float | None:
        """Bring one Job on."""
        if not (self._expected.are_met(key) and self._written.are_met(key)):
            return 1.0
        namespace, name = split_key(key)
        job = self._jobs.get(namespace, name)
        if job is None:
            self._expected.forget(key)
            self._written.forget(key)
            await self._release_orphans(key, namespace)
            return None
        if job["spec"].get("managedBy") not in (None, "kubernetes.io/job-controller"):
            return None
        candidates = self._pods.by_index(CONTROLLER_INDEX, job["metadata"]["uid"])
        candidates += self._pods.by_index(CONTROLLER_INDEX, orphans_of(namespace))
        owned = list(await settle_claim(self._client, JOBS, PODS, job, plan_claim(job, candidates)))
        if is_being_deleted(job):
            await self._release(key, [pod for pod in owned if is_tracked(pod)])
            return None
        plan = plan_job(job, owned, self._clock.now())
        failure = await self._apply(key, job, plan)
        if failure is not None:
            raise failure
        return plan.again_seconds

    async def _apply(self, key: str, job: Obj, plan: JobPlan) -> ApiError | None:
        if not is_same_status(job.get("status"), plan.status):
            try:
                written = await self._client.update(JOBS, {**job, "status": plan.status}, subresource="status")
            except NotFoundError:
                return None
            self._written.wrote(key, written)
            for kind, reason, message in plan.events:
                self._recorder.event(job, kind, reason, message)
        await self._release(key, plan.release)
        refused = await slow_start(plan.delete, lambda pod: self._delete(key, job, pod), first=len(plan.delete))
        made = await slow_start(plan.create, lambda wanted: self._create(key, job, wanted))
        return made or refused

    async def _create(self, key: str, job: Obj, wanted: PodWanted) -> None:
        await self._writer.create(key, job, lambda suffix: new_pod(job, wanted, suffix))

    async def _delete(self, key: str, job: Obj, pod: Obj) -> None:
        await self._writer.delete(key, job, pod)

    async def _release(self, key: str, pods: list[Obj]) -> None:
        """Take the finalizers off pods that have been counted."""
        await slow_start(pods, lambda pod: self._release_one(key, pod), first=max(1, len(pods)))

    async def _release_one(self, key: str, pod: Obj) -> None:
        metadata = pod["metadata"]
        kept = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": kept or None,
            }
        }
        try:
            written = await self._client.patch(PODS, metadata["name"], patch, metadata["namespace"])
        except NotFoundError:
            return
        except ConflictError:
            return  # a newer version is on its way here, and brings the key back
        self._expected.wrote(key, written)

    async def _release_orphans(self, key: str, namespace: str) -> None:
        """Let go the pods of a Job that is no more, so that garbage collection can have them."""
        _, name = split_key(key)
        owned = [
            pod
            for pod in self._pods.list(namespace)
            if is_tracked(pod)
            and any(r["kind"] == "Job" and r["name"] == name for r in pod["metadata"].get("ownerReferences") or ())
        ]
        await self._release(key, owned)
