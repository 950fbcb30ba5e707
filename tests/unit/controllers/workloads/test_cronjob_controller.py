"""CronJobs and the end of Jobs over a whole API."""

from windlass.apis.resources import CRONJOBS, JOBS
from windlass_controllers.cronjob.controller import CronJobController
from windlass_controllers.ttlafterfinished.controller import TtlAfterFinishedController

TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}


def cron(**spec):
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report"},
        "spec": {"schedule": "@every 1s", "jobTemplate": {"spec": {"template": TEMPLATE}}, **spec},
    }


async def active(cluster):
    return (await cluster.client.get(CRONJOBS, "report", "default"))["status"].get("active") or []


async def test_jobs_begin_by_the_clock_and_only_one_at_a_time(cluster):
    cluster.run_controllers(CronJobController)
    await cluster.client.create(CRONJOBS, cron(concurrencyPolicy="Forbid"), "default")

    async def begun():
        return len(await active(cluster)) == 1

    await cluster.eventually(begun)
    (job,) = await cluster.items(JOBS)
    assert job["metadata"]["ownerReferences"][0]["name"] == "report"
    assert job["metadata"]["name"].startswith("report-")


async def test_a_finished_job_goes_when_its_time_is_over(cluster):
    cluster.run_controllers(TtlAfterFinishedController)
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"},
            "spec": {"template": TEMPLATE, "ttlSecondsAfterFinished": 0}}  # fmt: skip
    await cluster.client.create(JOBS, made, "default")
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    await cluster.client.patch(JOBS, "work", {"status": {"conditions": [ended]}}, "default", subresource="status")

    async def going():
        if await cluster.is_gone(JOBS, "work"):
            return True
        return "deletionTimestamp" in (await cluster.client.get(JOBS, "work", "default"))["metadata"]

    await cluster.eventually(going)
