"""Jobs over a whole API: they complete, fail, are deleted with their pods, and wait while suspended."""

from windlass.apis.resources import JOBS, PODS
from windlass_controllers.job.controller import JobController


def job(name="work", **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


async def end(cluster, phase, *, code=0):
    """End every pod that runs."""
    for pod in await cluster.items(PODS):
        if pod["status"]["phase"] == "Running":
            ending = {"terminated": {"exitCode": code, "finishedAt": "2020-01-01T00:00:00Z"}}
            status = {"phase": phase, "containerStatuses": [
                {"name": "c", "state": ending, "ready": False, "restartCount": 0, "image": "i", "imageID": ""},
            ]}  # fmt: skip
            await cluster.client.patch(
                PODS, pod["metadata"]["name"], {"status": status}, "default", subresource="status"
            )


async def conditions(cluster, name="work"):
    found = await cluster.client.get(JOBS, name, "default")
    return {c["type"] for c in found["status"].get("conditions") or () if c["status"] == "True"}


async def test_a_job_completes(cluster):
    """As many successes as were asked for, each counted once; the pods stay for their logs."""
    cluster.run_controllers(JobController)
    await cluster.client.create(JOBS, job(completions=4, parallelism=2), "default")

    async def done():
        await end(cluster, "Succeeded")
        return "Complete" in await conditions(cluster)

    await cluster.eventually(done)
    status = (await cluster.client.get(JOBS, "work", "default"))["status"]
    assert (status["succeeded"], status.get("failed") or 0, status.get("active") or 0) == (4, 0, 0)
    assert status["completionTime"]
    pods = await cluster.items(PODS)
    assert len(pods) == 4
    assert all(not p["metadata"].get("finalizers") for p in pods)
    assert {p["metadata"]["labels"]["batch.kubernetes.io/job-name"] for p in pods} == {"work"}


async def test_a_job_fails_beyond_its_limit(cluster):
    cluster.run_controllers(JobController)
    await cluster.client.create(JOBS, job(backoffLimit=0), "default")

    async def failed():
        await end(cluster, "Failed", code=1)
        return "Failed" in await conditions(cluster)

    await cluster.eventually(failed)
    status = (await cluster.client.get(JOBS, "work", "default"))["status"]
    assert status["failed"] == 1
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"


async def test_suspended_then_resumed(cluster):
    cluster.run_controllers(JobController)
    await cluster.client.create(JOBS, job(suspend=True, completions=1), "default")

    async def suspended():
        return await conditions(cluster) == {"Suspended"}

    await cluster.eventually(suspended)
    assert await cluster.items(PODS) == []
    await cluster.client.patch(JOBS, "work", {"spec": {"suspend": False}}, "default")

    async def done():
        await end(cluster, "Succeeded")
        return "Complete" in await conditions(cluster)

    await cluster.eventually(done)


async def test_a_deleted_job_lets_its_pods_go(cluster):
    cluster.run_controllers(JobController)
    await cluster.client.create(JOBS, job(completions=3, parallelism=3), "default")

    async def running():
        return len(await cluster.items(PODS)) == 3

    await cluster.eventually(running)
    await cluster.client.delete(JOBS, "work", "default")

    async def free():
        return all(not p["metadata"].get("finalizers") for p in await cluster.items(PODS))

    await cluster.eventually(free)


async def test_indexed_pods_have_their_index(cluster):
    cluster.run_controllers(JobController)
    await cluster.client.create(JOBS, job(completionMode="Indexed", completions=3, parallelism=3), "default")

    async def running():
        return len(await cluster.items(PODS)) == 3

    await cluster.eventually(running)
    key = "batch.kubernetes.io/job-completion-index"
    assert sorted(p["metadata"]["annotations"][key] for p in await cluster.items(PODS)) == ["0", "1", "2"]

    async def done():
        await end(cluster, "Succeeded")
        return "Complete" in await conditions(cluster)

    await cluster.eventually(done)
    assert (await cluster.client.get(JOBS, "work", "default"))["status"]["completedIndexes"] == "0-2"
