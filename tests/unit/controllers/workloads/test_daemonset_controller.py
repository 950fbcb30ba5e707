"""A DaemonSet over a whole API: nodes come, the template changes, the set goes back."""

from windlass.apis.resources import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from windlass_controllers.daemonset.controller import DaemonSetController

SET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "agent"},
    "spec": {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "c", "image": "a:1"}]},
        },
    },
}


async def images(cluster):
    return sorted(p["spec"]["containers"][0]["image"] for p in await cluster.items(PODS))


async def status(cluster):
    return (await cluster.client.get(DAEMONSETS, "agent", "default"))["status"]


async def test_one_pod_per_node_then_an_update_then_back(cluster):
    """C094, C104: a pod for every node; a new template replaces them and leaves a snapshot, to which `undo` goes back."""
    cluster.run_controllers(DaemonSetController)
    await cluster.client.create(DAEMONSETS, SET, "default")

    async def runs(image, count):
        found = await status(cluster)
        return await images(cluster) == [image] * count and found.get("numberReady") == count == found.get(
            "updatedNumberScheduled"
        )

    await cluster.eventually(lambda: runs("a:1", 1))
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2", "labels": {"x": "y"}}}
    await cluster.client.create(NODES, node)
    await cluster.eventually(lambda: runs("a:1", 2))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}}
    await cluster.client.patch(DAEMONSETS, "agent", change, "default")
    await cluster.eventually(lambda: runs("a:2", 2))
    history = await cluster.items(CONTROLLERREVISIONS)
    assert sorted(r["revision"] for r in history) == [1, 2]
    first = min(history, key=lambda r: r["revision"])
    await cluster.client.patch(
        DAEMONSETS, "agent", first["data"], "default", patch_type="application/strategic-merge-patch+json"
    )
    await cluster.eventually(lambda: runs("a:1", 2))

    async def renumbered():
        return sorted(r["revision"] for r in await cluster.items(CONTROLLERREVISIONS)) == [2, 3]

    await cluster.eventually(renumbered)


async def test_a_node_selector_keeps_it_to_some_nodes(cluster):
    """C103: labels come and go, the set's own selector changes, and its pod follows."""
    cluster.run_controllers(DaemonSetController)
    spec = {**SET["spec"]["template"]["spec"], "nodeSelector": {"disk": "ssd"}}
    await cluster.client.create(
        DAEMONSETS, {**SET, "spec": {**SET["spec"], "template": {**SET["spec"]["template"], "spec": spec}}}, "default"
    )

    async def nothing():
        return (await status(cluster)).get("observedGeneration") == 1 and not await images(cluster)

    await cluster.eventually(nothing)
    await cluster.client.patch(NODES, "n1", {"metadata": {"labels": {"disk": "ssd"}}})

    async def one():
        return await images(cluster) == ["a:1"]

    await cluster.eventually(one)
    await cluster.client.patch(NODES, "n1", {"metadata": {"labels": {"disk": "hdd"}}})

    async def none():
        return not await images(cluster)

    await cluster.eventually(none)
    change = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "hdd"}}}}}
    await cluster.client.patch(DAEMONSETS, "agent", change, "default")
    await cluster.eventually(one)


async def test_failed_and_deleted_pods_are_replaced(cluster):
    """C101, C104."""
    cluster.run_controllers(DaemonSetController)
    await cluster.client.create(DAEMONSETS, SET, "default")

    async def ready():
        return (await status(cluster)).get("numberReady") == 1

    await cluster.eventually(ready)
    (first,) = await cluster.items(PODS)
    name = first["metadata"]["name"]
    await cluster.client.patch(PODS, name, {"status": {"phase": "Failed"}}, "default", subresource="status")

    async def another():
        pods = await cluster.items(PODS)
        return len(pods) == 1 and pods[0]["metadata"]["uid"] != first["metadata"]["uid"] and await ready()

    await cluster.eventually(another)
    (second,) = await cluster.items(PODS)
    await cluster.client.delete(PODS, second["metadata"]["name"], "default")

    async def third():
        pods = await cluster.items(PODS)
        return len(pods) == 1 and pods[0]["metadata"]["uid"] != second["metadata"]["uid"]

    await cluster.eventually(third)


async def test_status_is_written_read_and_kept(cluster):
    """C100, C106: the set is found and deleted by its labels; a condition written into its status stays there."""
    cluster.run_controllers(DaemonSetController)
    made = {**SET, "metadata": {"name": "agent", "labels": {"team": "a"}}}
    await cluster.client.create(DAEMONSETS, made, "default")

    async def seen():
        return (await status(cluster)).get("numberReady") == 1

    await cluster.eventually(seen)
    condition = {"type": "Mine", "status": "True"}
    await cluster.client.patch(
        DAEMONSETS, "agent", {"status": {"conditions": [condition]}}, "default", subresource="status"
    )
    await cluster.client.patch(NODES, "n1", {"metadata": {"labels": {"x": "y"}}})
    assert (await status(cluster))["conditions"][0]["type"] == "Mine"
    assert len(await cluster.items(DAEMONSETS, label_selector="team=a")) == 1
    await cluster.client.delete_collection(DAEMONSETS, "default", label_selector="team=a")
    assert await cluster.items(DAEMONSETS, label_selector="team=a") == []
