"""The whole manager against the real API application: election, fence, controllers, scheduler."""

import asyncio

from windlass.apis.resources import DEPLOYMENTS, LEASES
from windlass.clock import SystemClock
from windlass.controlplane.manager import Manager, ManagerConfig
from windlass.errors import ConflictError
from windlass_controllers.plugin import register_controllers


def manager(cluster, identity):
    return Manager(cluster.client, SystemClock(), ManagerConfig(identity, run_scheduler=False),
                   controllers=register_controllers(), scheduler_plugins=())


async def test_one_manager_leads_and_the_next_takes_over_in_a_new_term(cluster):
    """R09: what a former leader still writes is refused by the API server."""
    first, second = manager(cluster, "a"), manager(cluster, "b")
    running = cluster.start(first.run())

    async def leads(who=first):
        return who.elector.is_leader

    await cluster.eventually(leads)
    terms = []
    inner = second._lead

    async def noting(client):
        terms.append(client)
        await inner(client)

    second._lead = noting
    cluster.start(second.run())
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}},
                                  "spec": {"containers": [{"name": "c", "image": "v1"}]}}}}
    await cluster.client.create(DEPLOYMENTS, body)

    async def runs():
        return ((await cluster.client.get(DEPLOYMENTS, "web", "default")).get("status") or {}).get("readyReplicas") == 2

    await cluster.eventually(runs)
    assert await first.why_not_ready() == ""
    assert first.why_not_synced() == ""
    assert all(state["running"] and not state["restarts"] for state in first.statistics()["loops"].values())
    lease = await cluster.client.get(LEASES, "windlass-manager", "kube-system")
    from windlass.client.client import Fence

    former = cluster.client.fenced(Fence("kube-system", "windlass-manager", "a", lease["spec"]["leaseTransitions"]))
    await former.patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"x": "1"}}}, "default")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await cluster.eventually(lambda: leads(second))
    try:
        await former.patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"x": "2"}}}, "default")
    except ConflictError:
        refused = True
    else:
        refused = False
    assert refused
    await terms[0].patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"x": "3"}}}, "default")
