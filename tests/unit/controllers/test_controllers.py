"""The controllers against the real API application in this process."""

import asyncio

from windlass.apimachinery.meta import find_condition
from windlass.apis.resources import CONFIGMAPS, DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PODS, REPLICASETS
from windlass_controllers.deployment.controller import DeploymentController
from windlass_controllers.garbagecollector.controller import GarbageCollector
from windlass_controllers.namespace.controller import NamespaceController
from windlass_controllers.nodelifecycle.controller import NodeLifecycleController
from windlass_controllers.replicaset.controller import ReplicaSetController
from windlass_controllers.tainteviction.controller import TaintEvictionController


def template(image="v1", **labels):
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def workload(kind, name="web", replicas=3, **spec):
    return {
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec},
    }


def config_map(name, *owners, namespace="default", **metadata):
    references = [{"apiVersion": o["apiVersion"], "kind": o["kind"], "name": o["metadata"]["name"],
                   "uid": o["metadata"]["uid"], "blockOwnerDeletion": True} for o in owners]
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "ownerReferences": references, **metadata}}


def ready(cluster, resource, name, count):
    async def claim():
        obj = await cluster.client.get(resource, name, "default")
        status = obj.get("status") or {}
        return obj if status.get("readyReplicas", 0) == count == status.get("replicas", 0) else None

    return claim


async def test_a_replica_set_makes_replaces_and_removes_pods(cluster):
    cluster.run_controllers(ReplicaSetController)
    await cluster.client.create(REPLICASETS, workload("ReplicaSet", replicas=5))
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 5))
    victim = (await cluster.items(PODS))[0]["metadata"]
    await cluster.client.delete(PODS, victim["name"], "default")
    await cluster.eventually(lambda: cluster.is_gone(PODS, victim["name"]))
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 5))
    await cluster.client.patch(REPLICASETS, "web", {"spec": {"replicas": 1}}, "default")
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 1))
    await cluster.eventually(lambda: has_events(cluster, "SuccessfulCreate", "SuccessfulDelete"))


async def has_events(cluster, *reasons):
    return set(reasons) <= {event["reason"] for event in await cluster.items(EVENTS)}


async def test_orphans_are_adopted_and_strangers_released(cluster):
    cluster.run_controllers(ReplicaSetController)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": "default", **template()["metadata"]},
           "spec": template()["spec"]}
    await cluster.client.create(PODS, pod)
    made = await cluster.client.create(REPLICASETS, workload("ReplicaSet", replicas=2))
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 2))
    adopted = await cluster.client.get(PODS, "mine", "default")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert len(await cluster.items(PODS)) == 2
    await cluster.client.patch(PODS, "mine", {"metadata": {"labels": {"app": "other"}}}, "default")

    async def released():
        return not (await cluster.client.get(PODS, "mine", "default"))["metadata"].get("ownerReferences")

    await cluster.eventually(released)
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 2))
    assert len(await cluster.items(PODS)) == 3


async def test_a_restarted_controller_never_overshoots(cluster):
    """R09: controllers that stop and start in the middle of their work end with exactly the wanted pods."""
    created = set()
    pods = cluster.informers.informer(PODS)
    pods.on_event(lambda kind, old, new: created.add(new["metadata"]["uid"]) if new else None)
    cluster.run_controllers(ReplicaSetController)
    await cluster.client.create(REPLICASETS, workload("ReplicaSet", replicas=30))
    for wanted in (3, 12, 25):
        async def grown(wanted=wanted):
            return len(created) >= wanted

        await cluster.eventually(grown)
        cluster.tasks[-1].cancel()
        await asyncio.gather(cluster.tasks[-1], return_exceptions=True)
        cluster.run_controllers(ReplicaSetController)
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 30))
    assert len(created) == 30


async def test_a_deployment_rolls_out_back_and_cleans_up(cluster):
    """C109, C110, C113."""
    cluster.run_controllers(DeploymentController, ReplicaSetController)
    await cluster.client.create(DEPLOYMENTS, workload("Deployment", revisionHistoryLimit=1))
    await cluster.eventually(ready(cluster, DEPLOYMENTS, "web", 3))
    for image in ("v2", "v3"):
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"template": template(image)}}, "default")
        await cluster.eventually(lambda image=image: all_run(cluster, image))

    async def cleaned():
        return len(await cluster.items(REPLICASETS)) == 2

    await cluster.eventually(cleaned)
    deployment = await cluster.client.get(DEPLOYMENTS, "web", "default")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    progressing = find_condition(deployment["status"]["conditions"], "Progressing")
    assert progressing["reason"] == "NewReplicaSetAvailable"
    await cluster.eventually(lambda: has_events(cluster, "ScalingReplicaSet"))


async def all_run(cluster, image):
    deployment = await cluster.client.get(DEPLOYMENTS, "web", "default")
    pods = await cluster.items(PODS)
    images = [pod["spec"]["containers"][0]["image"] for pod in pods]
    status = deployment.get("status") or {}
    complete = (find_condition(status.get("conditions"), "Progressing") or {}).get("reason") == "NewReplicaSetAvailable"
    return images == [image] * 3 and status.get("updatedReplicas") == 3 and complete


async def test_an_existing_replica_set_is_adopted_by_a_deployment(cluster):
    """C109."""
    cluster.run_controllers(DeploymentController, ReplicaSetController)
    await cluster.client.create(REPLICASETS, workload("ReplicaSet", "old"))
    await cluster.eventually(ready(cluster, REPLICASETS, "old", 3))
    await cluster.client.create(DEPLOYMENTS, workload("Deployment", template=template("v2")))
    await cluster.eventually(lambda: all_run(cluster, "v2"))
    old = await cluster.client.get(REPLICASETS, "old", "default")
    assert old["spec"]["replicas"] == 0
    assert old["metadata"]["ownerReferences"][0]["kind"] == "Deployment"


async def test_background_deletion_takes_everything_below(cluster):
    """C056."""
    cluster.run_controllers(DeploymentController, ReplicaSetController, GarbageCollector)
    await cluster.client.create(DEPLOYMENTS, workload("Deployment"))
    await cluster.eventually(ready(cluster, DEPLOYMENTS, "web", 3))
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Background")

    async def empty():
        return not await cluster.items(REPLICASETS) and not await cluster.items(PODS)

    await cluster.eventually(empty)


async def test_orphan_deletion_leaves_the_dependents(cluster):
    """C061."""
    cluster.run_controllers(ReplicaSetController, GarbageCollector)
    await cluster.client.create(REPLICASETS, workload("ReplicaSet"))
    await cluster.eventually(ready(cluster, REPLICASETS, "web", 3))
    await cluster.client.delete(REPLICASETS, "web", "default", propagation_policy="Orphan")
    await cluster.eventually(lambda: cluster.is_gone(REPLICASETS, "web"))
    pods = await cluster.items(PODS)
    assert len(pods) == 3
    assert not any(pod["metadata"].get("ownerReferences") for pod in pods)


async def test_foreground_deletion_waits_for_dependents(cluster):
    """C058."""
    cluster.run_controllers(GarbageCollector)
    owner = await cluster.client.create(CONFIGMAPS, config_map("owner"))
    await cluster.client.create(CONFIGMAPS, config_map("held", owner, finalizers=["example.com/hold"]))
    await cluster.client.delete(CONFIGMAPS, "owner", "default", propagation_policy="Foreground")

    async def held_is_deleting():
        return (await cluster.client.get(CONFIGMAPS, "held", "default"))["metadata"].get("deletionTimestamp")

    await cluster.eventually(held_is_deleting)
    waiting = await cluster.client.get(CONFIGMAPS, "owner", "default")
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    await cluster.client.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, "default")
    await cluster.eventually(lambda: cluster.is_gone(CONFIGMAPS, "owner"))


async def test_a_circle_of_owners_is_deleted(cluster):
    """C059."""
    cluster.run_controllers(GarbageCollector)
    one = await cluster.client.create(CONFIGMAPS, config_map("one"))
    two = await cluster.client.create(CONFIGMAPS, config_map("two", one))
    three = await cluster.client.create(CONFIGMAPS, config_map("three", two))
    references = config_map("one", three)["metadata"]["ownerReferences"]
    await cluster.client.patch(CONFIGMAPS, "one", {"metadata": {"ownerReferences": references}}, "default")
    await cluster.client.delete(CONFIGMAPS, "one", "default", propagation_policy="Foreground")
    for name in ("one", "two", "three"):
        await cluster.eventually(lambda name=name: cluster.is_gone(CONFIGMAPS, name))


async def test_absent_owners_are_verified_by_uid(cluster):
    """A42: an owner of that name with another uid is absent; one that lives keeps its dependents."""
    cluster.run_controllers(GarbageCollector)
    owner = await cluster.client.create(CONFIGMAPS, config_map("owner"))
    await cluster.client.create(CONFIGMAPS, config_map("kept", owner))
    stranger = {**owner, "metadata": {**owner["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}}
    await cluster.client.create(CONFIGMAPS, config_map("lost", stranger))
    await cluster.client.create(CONFIGMAPS, config_map("both", stranger, owner))
    await cluster.eventually(lambda: cluster.is_gone(CONFIGMAPS, "lost"))

    async def dropped():
        both = await cluster.client.get(CONFIGMAPS, "both", "default")
        return [r["uid"] for r in both["metadata"]["ownerReferences"]] == [owner["metadata"]["uid"]]

    await cluster.eventually(dropped)
    assert not await cluster.is_gone(CONFIGMAPS, "kept")


async def test_a_namespace_is_emptied_then_goes(cluster):
    """C067, R13: also when the controller is stopped in the middle."""
    await cluster.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "big"}})
    for number in range(1200):
        await cluster.client.create(CONFIGMAPS, config_map(f"c{number}", namespace="big"))
    await cluster.client.delete(NAMESPACES, "big")
    cluster.run_controllers(NamespaceController)

    async def begun():
        return len(await cluster.items(CONFIGMAPS, "big")) < 1200

    await cluster.eventually(begun)
    cluster.tasks[-1].cancel()
    cluster.run_controllers(NamespaceController)
    await cluster.eventually(lambda: cluster.is_gone(NAMESPACES, "big", ""))
    assert not await cluster.items(CONFIGMAPS, "big")


async def test_a_namespace_says_what_it_waits_for(cluster):
    await cluster.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held"}})
    await cluster.client.create(CONFIGMAPS, config_map("c", namespace="held", finalizers=["example.com/hold"]))
    cluster.run_controllers(NamespaceController)
    await cluster.client.delete(NAMESPACES, "held")

    async def says():
        namespace = await cluster.client.get(NAMESPACES, "held")
        found = find_condition((namespace.get("status") or {}).get("conditions"), "NamespaceFinalizersRemaining")
        return found is not None and found["status"] == "True" and "example.com/hold" in found["message"]

    await cluster.eventually(says)
    await cluster.client.patch(CONFIGMAPS, "c", {"metadata": {"finalizers": None}}, "held")
    await cluster.eventually(lambda: cluster.is_gone(NAMESPACES, "held", ""))


async def test_a_cordon_becomes_a_taint_and_goes_with_it(cluster):
    cluster.run_controllers(NodeLifecycleController)

    def cordoned(expected):
        async def claim():
            node = await cluster.client.get(NODES, "n1")
            keys = {taint["key"] for taint in (node.get("spec") or {}).get("taints") or ()}
            return ("node.kubernetes.io/unschedulable" in keys) is expected

        return claim

    for value in (True, False):
        await cluster.client.patch(NODES, "n1", {"spec": {"unschedulable": value or None}})
        await cluster.eventually(cordoned(value))


async def test_a_no_execute_taint_drives_out_pods_and_can_be_called_off(cluster):
    """C256."""
    cluster.run_controllers(TaintEvictionController)
    for name, tolerations in (("stays", [{"key": "k", "operator": "Exists"}]), ("goes", []),
                              ("waits", [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}])):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
               "spec": {**template()["spec"], "tolerations": tolerations}}
        await cluster.client.create(PODS, pod)

    async def running():
        return all((pod.get("status") or {}).get("phase") == "Running" for pod in await cluster.items(PODS))

    await cluster.eventually(running)
    await cluster.client.patch(NODES, "n1", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    await cluster.eventually(lambda: cluster.is_gone(PODS, "goes"))
    await cluster.client.patch(NODES, "n1", {"spec": {"taints": None}})

    async def called_off():
        return any(event["message"] == "Cancelling deletion of Pod default/waits" for event in await cluster.items(EVENTS))

    await cluster.eventually(called_off)
    assert not await cluster.is_gone(PODS, "waits")
    await cluster.client.patch(NODES, "n1", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    await cluster.eventually(lambda: cluster.is_gone(PODS, "waits"))
    assert not await cluster.is_gone(PODS, "stays")
