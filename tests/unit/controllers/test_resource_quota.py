"""The use of quotas follows what comes and goes (C070 to C080)."""

import asyncio

import pytest

from windlass.apis.core.v1.quota_charges import pending_charges
from windlass.apis.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SERVICES,
)
from windlass.errors import ForbiddenError, NotFoundError
from windlass_controllers.resourcequota.controller import ResourceQuotaController


@pytest.fixture
async def running(cluster):
    cluster.run_controllers(ResourceQuotaController)
    return cluster


def meta(name):
    return {"name": name, "namespace": "default"}


async def bound(cluster, name="q", scopes=(), **hard):
    hard = {key.replace("_", "."): bound for key, bound in hard.items()}
    spec = {"hard": hard, **({"scopes": list(scopes)} if scopes else {})}
    await cluster.client.create(
        RESOURCEQUOTAS, {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta(name), "spec": spec}
    )
    return await until(cluster, name, lambda status: status.get("hard") == hard)


async def until(cluster, name, claim):
    async def holds():
        quota = await cluster.client.get(RESOURCEQUOTAS, name, "default")
        return claim(quota.get("status") or {}) and quota

    return await cluster.eventually(holds)


async def used(cluster, name="q", **wanted):
    wanted = {key.replace("_", "."): amount for key, amount in wanted.items()}
    return await until(cluster, name, lambda status: {**status.get("used", {}), **wanted} == status.get("used"))


async def make(cluster, resource, name, **body):
    return await cluster.client.create(resource, {"metadata": meta(name), **body})


async def make_pod(cluster, name, requests=None, **spec):
    container = {"name": "c", "image": "i", "resources": {"requests": requests or {}, "limits": requests or {}}}
    return await make(cluster, PODS, name, spec={"containers": [container], **spec})


async def test_a_quota_is_filled_and_changed_and_goes(running):
    """C070, C077: the quota itself counts as well."""
    quota = await bound(running, cpu="1", memory="500Mi", resourcequotas="1")
    assert quota["status"]["used"] == {"cpu": "0", "memory": "0", "resourcequotas": "1"}
    quota["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
    await running.client.update(RESOURCEQUOTAS, quota)
    changed = await until(running, "q", lambda status: status["hard"] == {"cpu": "2", "memory": "1Gi"})
    assert changed["status"]["used"] == {"cpu": "0", "memory": "0"}
    await running.client.delete(RESOURCEQUOTAS, "q", "default")
    with pytest.raises(NotFoundError):
        await running.client.get(RESOURCEQUOTAS, "q", "default")


async def test_objects_are_counted_as_they_come_and_go(running):
    """C071: also those that were there before the quota."""
    await make(running, CONFIGMAPS, "old")
    await bound(running, configmaps="3")
    await used(running, configmaps="1")
    await make(running, CONFIGMAPS, "new")
    assert (await used(running, configmaps="2"))["status"]["hard"] == {"configmaps": "3"}
    await running.client.delete(CONFIGMAPS, "new", "default")
    await used(running, configmaps="1")


async def test_any_resource_is_counted_by_its_name(running):
    """C073."""
    await bound(running, **{"count/replicasets.apps": "1", "count/deployments.apps": "0"})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await make(running, REPLICASETS, "rs", spec=spec)
    await used(running, **{"count/replicasets.apps": "1"})
    with pytest.raises(ForbiddenError, match=r'replicasets\.apps "more" is forbidden: exceeded quota: q'):
        await make(running, REPLICASETS, "more", spec=spec)
    with pytest.raises(ForbiddenError, match=r"limited: count/deployments\.apps=0"):
        await make(running, DEPLOYMENTS, "d", spec=spec)
    await running.client.delete(REPLICASETS, "rs", "default")
    await used(running, **{"count/replicasets.apps": "0"})


async def test_services_free_what_they_no_longer_are(running):
    """C076."""
    await bound(running, services="5", services_nodeports="1", services_loadbalancers="1")
    ports = [{"port": 80}]
    await make(running, SERVICES, "web", spec={"type": "NodePort", "ports": ports})
    found = await used(running, services="1", services_nodeports="1")
    assert found["status"]["used"]["services.loadbalancers"] == "0"
    with pytest.raises(ForbiddenError, match=r"exceeded quota: q, requested: services\.nodeports=1"):
        await make(running, SERVICES, "lb", spec={"type": "LoadBalancer", "ports": ports})
    service = await running.client.get(SERVICES, "web", "default")
    service["spec"] = {"type": "ClusterIP", "ports": ports}
    await running.client.update(SERVICES, service)
    await used(running, services="1", services_nodeports="0")


async def test_scopes_divide_pods(running):
    """C079, C080: each pod counts where it belongs, and frees just that."""
    for scope in ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating"):
        await bound(running, scope.lower(), [scope], pods="5")
    await make_pod(running, "plain")
    await make_pod(running, "sized", {"cpu": "100m"}, activeDeadlineSeconds=3600)
    for scope in ("besteffort", "notbesteffort", "terminating", "notterminating"):
        await used(running, scope, pods="1")
    await running.client.delete(PODS, "plain", "default")
    await used(running, "besteffort", pods="0")
    await used(running, "notterminating", pods="0")
    await used(running, "notbesteffort", pods="1")
    await used(running, "terminating", pods="1")


async def test_a_pod_that_ends_frees_its_resources_but_stays_an_object(running):
    await bound(running, **{"requests.cpu": "1", "count/pods": "9"})
    await make_pod(running, "job", {"cpu": "700m"})
    await used(running, requests_cpu="700m", **{"count/pods": "1"})

    async def end():
        pod = await running.client.get(PODS, "job", "default")
        if pod["status"].get("phase") != "Running":
            return False
        await running.client.update(PODS, {**pod, "status": {**pod["status"], "phase": "Succeeded"}}, subresource="status")
        return True

    await running.eventually(end)
    await used(running, requests_cpu="0", **{"count/pods": "1"})


async def test_charges_are_settled_and_drift_is_put_right(running):
    """What somebody wrote over the status is counted anew."""
    await bound(running, pods="40")
    await asyncio.gather(*(make_pod(running, f"p{number}") for number in range(20)))

    async def settled():
        quota = await running.client.get(RESOURCEQUOTAS, "q", "default")
        return quota["status"]["used"] == {"pods": "20"} and not pending_charges(quota) and quota

    quota = await running.eventually(settled)
    quota["status"]["used"] = {"pods": "3"}
    await running.client.update(RESOURCEQUOTAS, quota, subresource="status")
    await used(running, pods="20")


async def test_a_bound_below_the_use_refuses_what_comes_and_harms_nobody(running):
    """Quiet: the same object after many looks."""
    for name in ("a", "b"):
        await make(running, CONFIGMAPS, name)
    quota = await bound(running, configmaps="1")
    assert (await used(running, configmaps="2"))["metadata"]["uid"] == quota["metadata"]["uid"]
    with pytest.raises(ForbiddenError, match="used: configmaps=2, limited: configmaps=1"):
        await make(running, CONFIGMAPS, "c")
    await running.client.delete(CONFIGMAPS, "a", "default")
    await running.client.delete(CONFIGMAPS, "b", "default")
    await used(running, configmaps="0")
    await make(running, CONFIGMAPS, "c")


async def test_replication_controllers_have_a_name_of_their_own(running):
    """C074."""
    await bound(running, replicationcontrollers="1")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"a": "b"}, "template": template}
    await make(running, REPLICATIONCONTROLLERS, "rc", spec=spec)
    await used(running, replicationcontrollers="1")
    await running.client.delete(REPLICATIONCONTROLLERS, "rc", "default")
    await used(running, replicationcontrollers="0")
