"""Begins Jobs by the clock."""

from collections.abc import Sequence
from typing import Any

from windlass.apimachinery.meta import get_controller_of
from windlass.apis.batch.v1.schedule import ScheduleError
from windlass.apis.resources import CRONJOBS, JOBS
from windlass.errors import AlreadyExistsError, ApiError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.cronjob.plan import CronPlan, plan_cron, reference
from windlass_controllers.expectations import Expectations
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.ownership import CONTROLLER_INDEX, controller_index, keys_of_owner

Obj = dict[str, Any]


class CronJobController:
    """One key is one CronJob. It wakes for the next moment that is due; what was missed meanwhile is made up for once."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._cron_jobs = context.informers.informer(CRONJOBS)
        self._jobs = context.informers.informer(JOBS)
        self._jobs.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._jobs, context.clock)
        self._written = Expectations(self._cron_jobs, context.clock)
        self.loop = KeyedLoop("cronjob", context.clock)
        self.loop.feed(self._cron_jobs, own_key)
        self.loop.feed(self._jobs, keys_of_owner("CronJob", lambda _job: ()))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Begin what is due, remove what is old, and report."""
        if not (self._expected.are_met(key) and self._written.are_met(key)):
            return 1.0
        namespace, name = split_key(key)
        cron_job = self._cron_jobs.get(namespace, name)
        if cron_job is None:
            self._expected.forget(key)
            self._written.forget(key)
            return None
        owned = self._jobs.by_index(CONTROLLER_INDEX, cron_job["metadata"]["uid"])
        try:
            plan = plan_cron(cron_job, owned, self._clock.now())
        except ScheduleError as error:
            self._recorder.event(cron_job, "Warning", "UnparseableSchedule", f"unparseable schedule: {error}")
            return None  # only a change of the object can help, and brings the key back
        for kind, reason, message in plan.events:
            self._recorder.event(cron_job, kind, reason, message)
        await self._delete(key, cron_job, plan.delete)
        await self._create(key, cron_job, plan)
        await self._report(key, cron_job, plan)
        return plan.wake_seconds

    async def _create(self, key: str, cron_job: Obj, plan: CronPlan) -> None:
        if plan.create is None:
            return
        namespace, name = plan.create["metadata"]["namespace"], plan.create["metadata"]["name"]
        try:
            made = await self._client.create(JOBS, plan.create, namespace)
        except AlreadyExistsError:
            made = await self._client.get(JOBS, name, namespace)
            if (get_controller_of(made) or {}).get("uid") != cron_job["metadata"]["uid"]:
                self._recorder.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {name} is another's")
                return
        except ApiError as error:
            if not error.namespace_is_going:
                self._recorder.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        self._expected.wrote(key, made)
        self._recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")
        plan.status["active"] = [*(a for a in plan.status["active"] if a["name"] != name), reference(made)]

    async def _delete(self, key: str, cron_job: Obj, jobs: Sequence[Obj]) -> None:
        for job in jobs:
            metadata = job["metadata"]
            try:
                await self._client.delete(
                    JOBS, metadata["name"], metadata["namespace"], propagation_policy="Background", uid=metadata["uid"]
                )
            except NotFoundError:
                continue
            self._expected.deleted(key, job)
            self._recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {metadata['name']}")

    async def _report(self, key: str, cron_job: Obj, plan: CronPlan) -> None:
        gone = {job["metadata"]["uid"] for job in plan.delete}
        plan.status["active"] = [a for a in plan.status["active"] if a["uid"] not in gone]
        if _bare(plan.status) == _bare(cron_job.get("status") or {}):
            return
        try:
            written = await self._client.update(CRONJOBS, {**cron_job, "status": plan.status}, subresource="status")
        except NotFoundError:
            return
        self._written.wrote(key, written)


def _bare(status: Obj) -> Obj:
    """Return a status without the versions of its Jobs, which change all the time."""
    active = [{k: v for k, v in a.items() if k != "resourceVersion"} for a in status.get("active") or ()]
    return {**{k: v for k, v in status.items() if v}, "active": active}
