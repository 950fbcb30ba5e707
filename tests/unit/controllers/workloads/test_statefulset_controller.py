"""A StatefulSet over a whole API."""

from windlass.apis.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
from windlass_controllers.statefulset.controller import StatefulSetController

SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db"},
    "spec": {
        "serviceName": "db",
        "replicas": 3,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}},
    },
}


async def pods(cluster):
    return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in await cluster.items(PODS)}


async def status(cluster):
    return (await cluster.client.get(STATEFULSETS, "db", "default"))["status"]


async def test_it_comes_up_changes_scales_and_goes_back(cluster):
    """C143, C146: numbered pods, an update from the top, a scale, and an old template that takes its old snapshot."""
    cluster.run_controllers(StatefulSetController)
    await cluster.client.create(STATEFULSETS, SET, "default")

    def runs(image, count):
        async def claim():
            found = await status(cluster)
            same = found.get("currentRevision") == found.get("updateRevision")
            return (
                same
                and await pods(cluster) == {f"db-{n}": image for n in range(count)}
                and (found.get("readyReplicas") == count)
            )

        return claim

    await cluster.eventually(runs("a:1", 3))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}}
    await cluster.client.patch(STATEFULSETS, "db", change, "default")
    await cluster.eventually(runs("a:2", 3))
    scale = await cluster.client.patch(STATEFULSETS, "db", {"spec": {"replicas": 1}}, "default", subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["replicas"]) == ("Scale", 1, 3)
    await cluster.eventually(runs("a:2", 1))
    back = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:1"}]}}}}
    await cluster.client.patch(STATEFULSETS, "db", back, "default")
    await cluster.eventually(runs("a:1", 1))
    assert sorted(r["revision"] for r in await cluster.items(CONTROLLERREVISIONS)) == [2, 3]


async def test_a_deleted_pod_comes_back_under_its_name(cluster):
    cluster.run_controllers(StatefulSetController)
    await cluster.client.create(STATEFULSETS, {**SET, "spec": {**SET["spec"], "replicas": 1}}, "default")

    async def ready():
        return (await status(cluster)).get("readyReplicas") == 1

    await cluster.eventually(ready)
    (first,) = await cluster.items(PODS)
    await cluster.client.delete(PODS, "db-0", "default")

    async def another():
        found = await cluster.items(PODS)
        return len(found) == 1 and found[0]["metadata"]["uid"] != first["metadata"]["uid"]

    await cluster.eventually(another)
