"""ReplicationControllers over a whole API: the ReplicaSets' planner behind another kind."""

import contextlib

from windlass.apis.resources import PODS, REPLICATIONCONTROLLERS
from windlass.errors import ForbiddenError
from windlass_controllers.garbagecollector.controller import GarbageCollector
from windlass_controllers.replicationcontroller.controller import ReplicationControllerController, as_replica_set

LABELS = {"app": "old"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def controller(replicas=2, name="rc", **spec):
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "template": TEMPLATE, **spec},
    }


def bare_pod(name, **labels):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": TEMPLATE["spec"]}  # fmt: skip


def settled(cluster, count):
    async def claim():
        found = await cluster.client.get(REPLICATIONCONTROLLERS, "rc", "default")
        status, wanted = found["status"], dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), count)
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return seen and {key: status.get(key) or 0 for key in wanted} == wanted

    return claim


def owners(pod):
    return [(one["kind"], one["name"], one["controller"]) for one in pod["metadata"].get("ownerReferences") or ()]


async def test_pods_are_adopted_and_released(cluster):
    """C134, C136: a bare pod that matches gets a controllerRef; when it matches no more, it loses it and is replaced."""
    cluster.run_controllers(ReplicationControllerController)
    await cluster.client.create(PODS, bare_pod("bare", **LABELS))
    await cluster.client.create(REPLICATIONCONTROLLERS, controller(1))
    await cluster.eventually(settled(cluster, 1))
    assert [p["metadata"]["name"] for p in await cluster.items(PODS)] == ["bare"]
    assert owners((await cluster.items(PODS))[0]) == [("ReplicationController", "rc", True)]
    await cluster.client.patch(PODS, "bare", {"metadata": {"labels": {"app": "new"}}}, "default")

    async def replaced():
        pods = {p["metadata"]["name"]: owners(p) for p in await cluster.items(PODS)}
        return len(pods) == 2 and pods["bare"] == []

    await cluster.eventually(replaced)
    await cluster.eventually(settled(cluster, 1))


async def test_the_life_of_one(cluster):
    """C139: created, ready, patched, its status and scale patched, put, listed and deleted by label, each seen on a watch."""
    client, seen = cluster.client, []

    async def watch():
        async with contextlib.aclosing(client.watch(REPLICATIONCONTROLLERS, "default")) as events:
            async for kind, obj in events:
                seen.append((kind, obj))

    async def was_seen(kind, holds):
        async def claim():
            return any(event == kind and holds(obj) for event, obj in seen)

        await cluster.eventually(claim)

    cluster.start(watch())
    cluster.run_controllers(ReplicationControllerController)
    await client.create(REPLICATIONCONTROLLERS, controller(1))
    await was_seen("ADDED", lambda obj: obj["metadata"]["labels"] == LABELS)
    await was_seen("MODIFIED", lambda obj: obj["status"].get("readyReplicas") == 1)
    await client.patch(REPLICATIONCONTROLLERS, "rc", {"metadata": {"labels": {"test": "patched"}}}, "default")
    await was_seen("MODIFIED", lambda obj: obj["metadata"]["labels"].get("test") == "patched")
    condition = {"type": "Told", "status": "True"}
    told = {"status": {"conditions": [condition]}}
    await client.patch(REPLICATIONCONTROLLERS, "rc", told, "default", subresource="status")
    await was_seen("MODIFIED", lambda obj: condition in obj["status"].get("conditions", []))
    wanted = {"spec": {"replicas": 2}}
    await client.patch(REPLICATIONCONTROLLERS, "rc", wanted, "default", subresource="scale")
    await cluster.eventually(settled(cluster, 2))
    scale = await client.get(REPLICATIONCONTROLLERS, "rc", "default", subresource="scale")
    assert scale["status"] == {"replicas": 2, "selector": "app=old"}

    async def put():
        found = await client.get(REPLICATIONCONTROLLERS, "rc", "default")
        found["spec"]["replicas"] = 3
        return await client.update(REPLICATIONCONTROLLERS, found)

    await put()
    await cluster.eventually(settled(cluster, 3))
    assert len(await cluster.items(REPLICATIONCONTROLLERS, label_selector="test=patched")) == 1
    await client.delete_collection(REPLICATIONCONTROLLERS, "default", label_selector="test=patched")
    await was_seen("DELETED", lambda obj: obj["metadata"]["name"] == "rc")


async def test_orphan_deletion_leaves_its_pods(cluster):
    """C062: every pod stays, without the reference."""
    cluster.run_controllers(ReplicationControllerController, GarbageCollector)
    await cluster.client.create(REPLICATIONCONTROLLERS, controller(3))
    await cluster.eventually(settled(cluster, 3))
    await cluster.client.delete(REPLICATIONCONTROLLERS, "rc", "default", propagation_policy="Orphan")
    await cluster.eventually(lambda: cluster.is_gone(REPLICATIONCONTROLLERS, "rc"))
    pods = await cluster.items(PODS)
    assert [owners(pod) for pod in pods] == [[], [], []]
    assert not any(pod["metadata"].get("deletionTimestamp") for pod in pods)


async def test_foreground_deletion_waits_for_the_last_pod(cluster):
    """C058: it stays, marked, while one of its pods does."""
    cluster.run_controllers(ReplicationControllerController, GarbageCollector)
    await cluster.client.create(REPLICATIONCONTROLLERS, controller(2))
    await cluster.eventually(settled(cluster, 2))
    held = (await cluster.items(PODS))[0]["metadata"]["name"]
    await cluster.client.patch(PODS, held, {"metadata": {"finalizers": ["example.com/hold"]}}, "default")
    await cluster.client.delete(REPLICATIONCONTROLLERS, "rc", "default", propagation_policy="Foreground")

    async def only_the_held():
        return [p["metadata"]["name"] for p in await cluster.items(PODS)] == [held]

    await cluster.eventually(only_the_held)
    waiting = (await cluster.client.get(REPLICATIONCONTROLLERS, "rc", "default"))["metadata"]
    assert waiting["deletionTimestamp"]
    assert waiting["finalizers"] == ["foregroundDeletion"]
    await cluster.client.patch(PODS, held, {"metadata": {"finalizers": None}}, "default")
    await cluster.eventually(lambda: cluster.is_gone(REPLICATIONCONTROLLERS, "rc"))


async def test_a_refused_creation_is_told_and_made_up_for(cluster, monkeypatch):
    """The condition ReplicaFailure comes, and goes when pods can be made again."""
    refused, create = True, cluster.client.create

    async def picky(resource, obj, *args, **options):
        if resource == PODS and refused:
            raise ForbiddenError("exceeded quota")
        return await create(resource, obj, *args, **options)

    monkeypatch.setattr(cluster.client, "create", picky)
    cluster.run_controllers(ReplicationControllerController)
    await create(REPLICATIONCONTROLLERS, controller(2))

    async def failing(wanted):
        found = await cluster.client.get(REPLICATIONCONTROLLERS, "rc", "default")
        return wanted == [c["reason"] for c in found["status"].get("conditions") or ()]

    await cluster.eventually(lambda: failing(["FailedCreate"]))
    refused = False
    await cluster.eventually(settled(cluster, 2))
    await cluster.eventually(lambda: failing([]))


def test_an_empty_selector_selects_nothing():
    assert as_replica_set(controller())["spec"]["selector"] is None
    shown = as_replica_set(controller(selector=LABELS))
    assert shown["spec"]["selector"] == {"matchLabels": LABELS}
    assert shown["spec"]["template"] is TEMPLATE
