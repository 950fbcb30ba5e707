"""Binding, eviction, scale, logs."""

from contextlib import asynccontextmanager

import pytest

from windlass.api.agents import agent_url
from windlass.errors import UnavailableError

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BINDING = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"}, "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}}


async def test_binding_sets_the_node_once(api, make):
    made = await api.ok("POST", PODS, make.pod())
    wrong = {**BINDING, "metadata": {"name": "web", "uid": "other"}}
    assert (await api.call("POST", f"{PODS}/web/binding", wrong)).status == 409
    right = {**BINDING, "metadata": {"name": "web", "uid": made["metadata"]["uid"]}}
    assert (await api.call("POST", f"{PODS}/web/binding", right)).status == 201
    bound = await api.get(f"{PODS}/web")
    assert bound["spec"]["nodeName"] == "n1"
    scheduled = next(item for item in bound["status"]["conditions"] if item["type"] == "PodScheduled")
    assert scheduled["status"] == "True"
    again = await api.call("POST", f"{PODS}/web/binding", BINDING)
    assert again.status == 409
    assert 'already assigned to node "n1"' in again.json["message"]


@pytest.mark.parametrize("body", [{}, [], {"target": {"name": 5}}, {"target": {"kind": "Pod", "name": "x"}},
                                  {"kind": "Eviction", "target": {"name": "n"}}, {"metadata": {"name": "other"}, "target": {"name": "n"}}])
async def test_bad_bindings(api, make, body):
    await api.ok("POST", PODS, make.pod())
    assert (await api.call("POST", f"{PODS}/web/binding", body)).status in (400, 422)
    assert "nodeName" not in (await api.get(f"{PODS}/web"))["spec"]


async def test_eviction_is_a_graceful_deletion(api, make):
    await api.ok("POST", PODS, make.pod(nodeName="n1"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}, "deleteOptions": {"gracePeriodSeconds": 7}}
    answer = await api.call("POST", f"{PODS}/web/eviction", body)
    assert (answer.status, answer.json["status"]) == (201, "Success")
    assert (await api.get(f"{PODS}/web"))["metadata"]["deletionGracePeriodSeconds"] == 7
    assert (await api.call("POST", f"{PODS}/none/eviction", {**body, "metadata": {"name": "none"}})).status == 404


async def test_scale(api, make):
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    scale = await api.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 3)
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    scale["spec"]["replicas"] = 5
    assert (await api.ok("PUT", f"{DEPLOYMENTS}/web/scale", scale))["spec"]["replicas"] == 5
    assert (await api.call("PUT", f"{DEPLOYMENTS}/web/scale", scale)).status == 409, "its version is old now"
    assert (await api.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 2}}))["spec"]["replicas"] == 2
    current = await api.get(f"{DEPLOYMENTS}/web")
    assert (current["spec"]["replicas"], current["metadata"]["generation"]) == (2, 3)
    merge = {"content-type": "application/merge-patch+json"}
    assert (await api.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}}, headers=merge)).status in (400, 422)
    assert (await api.call("GET", "/api/v1/namespaces/default/configmaps/x/scale")).status == 404


class Backend:
    def __init__(self):
        self.targets = []
        self.closed = 0

    @asynccontextmanager
    async def open(self, target):
        self.targets.append(target)

        async def chunks():
            yield b"one\n"
            yield b"two\n"

        try:
            yield chunks()
        finally:
            self.closed += 1


class TestLogs:
    @pytest.fixture
    def log_backend(self):
        return Backend()

    async def test_log_comes_from_the_pods_node(self, api, make, log_backend):
        await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
        await api.ok("POST", PODS, make.pod(nodeName="n1"))
        answer = await api.call("GET", f"{PODS}/web/log?tailLines=2&timestamps=true&follow=false")
        assert (answer.status, answer.body) == (200, b"one\ntwo\n")
        assert answer.header("content-type").startswith("text/plain")
        target = log_backend.targets[0]
        assert (target.container, target.node["metadata"]["name"]) == ("main", "n1")
        assert target.params == {"tailLines": "2", "timestamps": "true"}
        assert log_backend.closed == 1

    async def test_refusals(self, api, make, log_backend):
        two = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
        await api.ok("POST", PODS, make.pod(containers=two))
        unnamed = await api.call("GET", f"{PODS}/web/log")
        assert unnamed.status == 400
        assert unnamed.json["message"] == "a container name must be specified for pod web, choose one of: [a b]"
        wrong = await api.call("GET", f"{PODS}/web/log?container=c")
        assert (wrong.status, wrong.json["message"]) == (400, "container c is not valid for pod web")
        for query in ("tailLines=-1", "sinceSeconds=0", "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "follow=maybe"):
            assert (await api.call("GET", f"{PODS}/web/log?container=a&{query}")).status == 400, query
        assert (await api.call("GET", f"{PODS}/none/log")).status == 404
        empty = await api.call("GET", f"{PODS}/web/log?container=a")
        assert (empty.status, empty.body) == (200, b"")
        assert not log_backend.targets


@pytest.mark.parametrize("address", ["169.254.169.254", "node.example.com", "0.0.0.0", "224.0.0.1"])
def test_agents_are_only_sought_at_sane_addresses(address):
    """S51."""
    node = {"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}
    with pytest.raises(UnavailableError):
        agent_url(node, "containerLogs", "ns", "p", "c")


def test_names_are_quoted_in_the_agents_url():
    """N69."""
    node = {"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}}
    assert agent_url(node, "containerLogs", "ns", "p", "../../etc") == "https://10.0.0.1:10250/containerLogs/ns/p/..%2F..%2Fetc"
