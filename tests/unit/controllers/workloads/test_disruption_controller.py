"""The disruption controller over a whole API: budgets are counted, evictions obey them."""

import pytest

from windlass.apis.resources import DEPLOYMENTS, EVENTS, JOBS, PODDISRUPTIONBUDGETS, PODS, REPLICATIONCONTROLLERS
from windlass.errors import TooManyRequestsError
from windlass_controllers.deployment.controller import DeploymentController
from windlass_controllers.disruption.controller import DisruptionController
from windlass_controllers.job.controller import JobController
from windlass_controllers.replicaset.controller import ReplicaSetController
from windlass_controllers.replicationcontroller.controller import ReplicationControllerController

LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def budget(**spec):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"},
            "spec": {"selector": {"matchLabels": LABELS}, **spec}}  # fmt: skip


def deployment(replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}}  # fmt: skip


def counted(cluster, **expected):
    """The status says this, of the newest generation."""

    async def claim():
        found = await cluster.client.get(PODDISRUPTIONBUDGETS, "b", "default")
        status = found["status"]
        newest = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if newest and {key: status.get(key) for key in expected} == expected else None

    return claim


async def told(cluster, reason):
    return any(event["reason"] == reason for event in await cluster.items(EVENTS))


async def test_a_budget_of_a_deployment(cluster):
    """C116, C118: counted by the Deployment's scale; evictions are refused until it is patched."""
    cluster.run_controllers(DisruptionController, DeploymentController, ReplicaSetController)
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget(maxUnavailable=0))
    await cluster.eventually(lambda: told(cluster, "NoPods"))
    await cluster.client.create(DEPLOYMENTS, deployment(3))
    everything = {"currentHealthy": 3, "desiredHealthy": 3, "expectedPods": 3, "disruptionsAllowed": 0}
    await cluster.eventually(counted(cluster, **everything))
    name = (await cluster.items(PODS))[0]["metadata"]["name"]
    with pytest.raises(TooManyRequestsError, match="violate the pod's disruption budget"):
        await cluster.client.evict("default", name)
    await cluster.client.patch(PODDISRUPTIONBUDGETS, "b", {"spec": {"maxUnavailable": "33%"}}, "default")
    await cluster.eventually(counted(cluster, disruptionsAllowed=1))
    await cluster.client.evict("default", name)
    await cluster.eventually(lambda: cluster.is_gone(PODS, name))
    await cluster.eventually(counted(cluster, currentHealthy=3, disruptionsAllowed=1, disruptedPods=None))
    await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 6}}, "default")
    await cluster.eventually(counted(cluster, currentHealthy=6, expectedPods=6, desiredHealthy=4, disruptionsAllowed=2))


async def test_a_budget_of_a_replication_controller(cluster):
    cluster.run_controllers(DisruptionController, ReplicationControllerController)
    body = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc", "namespace": "default"},
            "spec": {"replicas": 4, "template": TEMPLATE}}  # fmt: skip
    await cluster.client.create(REPLICATIONCONTROLLERS, body)
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget(minAvailable="50%"))
    await cluster.eventually(counted(cluster, expectedPods=4, desiredHealthy=2, disruptionsAllowed=2))


async def test_pods_of_what_cannot_be_scaled(cluster):
    """A Job has no scale: a percentage of it is nothing, and says so; a number is."""
    cluster.run_controllers(DisruptionController, JobController)
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"},
            "spec": {"parallelism": 2, "completions": 2, "template": template}}  # fmt: skip
    await cluster.client.create(JOBS, body, "default")
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))
    await cluster.eventually(lambda: told(cluster, "CalculateExpectedPodCountFailed"))
    found = await cluster.client.get(PODDISRUPTIONBUDGETS, "b", "default")
    (condition,) = found["status"]["conditions"]
    assert (condition["reason"], found["status"]["disruptionsAllowed"]) == ("SyncFailed", 0)
    assert condition["message"] == "jobs.batch does not implement the scale subresource"
    await cluster.client.patch(
        PODDISRUPTIONBUDGETS, "b", {"spec": {"maxUnavailable": None, "minAvailable": 1}}, "default"
    )
    await cluster.eventually(counted(cluster, expectedPods=2, disruptionsAllowed=1))


async def test_unmanaged_pods_are_named(cluster):
    cluster.run_controllers(DisruptionController)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "default", "labels": LABELS},
           "spec": TEMPLATE["spec"]}  # fmt: skip
    await cluster.client.create(PODS, pod)
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))
    await cluster.eventually(lambda: told(cluster, "UnmanagedPods"))
    await cluster.eventually(counted(cluster, expectedPods=0, disruptionsAllowed=0))


async def test_a_granted_eviction_that_did_not_happen_runs_out(cluster):
    """The pod is still there long after: it counts again, and an event says so."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "default", "labels": LABELS},
           "spec": TEMPLATE["spec"]}  # fmt: skip
    await cluster.client.create(PODS, pod)
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget(minAvailable=0))
    granted = {"status": {"disruptedPods": {"bare": "2020-01-01T00:00:00Z"}}}
    await cluster.client.patch(PODDISRUPTIONBUDGETS, "b", granted, "default", subresource="status")
    cluster.run_controllers(DisruptionController)
    await cluster.eventually(lambda: told(cluster, "NotDeleted"))
    await cluster.eventually(counted(cluster, currentHealthy=1, disruptedPods=None))
