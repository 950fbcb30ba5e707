"""`metrics.k8s.io`: from the agents' summaries to what `kubectl top` reads."""

import asyncio

import orjson
import pytest

from windlass.api.request import ApiRequest, parse_path
from windlass.api.resource_metrics import KEEP_SECONDS, MetricsHandler
from windlass.errors import MethodNotAllowedError, NotFoundError, UnavailableError
from windlass.testing.clock import FakeClock

TIME = "2026-01-01T00:00:10Z"


def used(cpu, memory):
    rate = {} if cpu is None else {"usageNanoCores": cpu}
    return {"cpu": {"time": TIME, **rate}, "memory": {"workingSetBytes": memory}}


def summary(**pods):
    return {
        "node": {"nodeName": "n", **used(2_000_000_000, 1 << 30)},
        "pods": [
            {"podRef": {"uid": uid}, **used(0, 0), "containers": [{"name": n, **u} for n, u in containers.items()]}
            for uid, containers in pods.items()
        ],
    }


def pod(name, node, **labels):
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": labels},
        "spec": {"nodeName": node} if node else {},
    }


class Reader:
    """Nodes n1 and n2, and the test's pods."""

    def __init__(self, *pods):
        self.objects = {"nodes": [{"metadata": {"name": n}} for n in ("n1", "n2")], "pods": list(pods)}

    def get(self, resource, namespace, name):
        found = (o for o in self.list(resource, namespace) if o["metadata"]["name"] == name)
        return next(found, None)

    def list(self, resource, namespace=""):
        return [o for o in self.objects[resource] if namespace in ("", o["metadata"].get("namespace", ""))]


class Agents:
    """Agents that answer, or do not; counts the questions."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    async def summary(self, node):
        name = node["metadata"]["name"]
        self.asked.append(name)
        await asyncio.sleep(0)
        if name not in self.answers:
            raise UnavailableError(f"the host agent of node {name} cannot be reached")
        return self.answers[name]


def asked(path, verb="list", query=b""):
    request = ApiRequest({"headers": [], "query_string": query, "method": "GET"}, None)
    request.path = parse_path(path.encode())
    request.verb = verb
    return request


PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
NODES = "/apis/metrics.k8s.io/v1beta1/nodes"


def names(response):
    return [item["metadata"]["name"] for item in orjson.loads(response.body)["items"]]


async def test_a_pods_containers_with_units():
    agents = Agents(n1=summary(web={"a": used(250_000_000, 5 << 20), "b": used(1, 1023)}))
    handler = MetricsHandler(agents, Reader(pod("web", "n1", app="web")), FakeClock())
    found = orjson.loads((await handler.pods(asked(f"{PODS}/web", "get"))).body)
    assert found["kind"] == "PodMetrics"
    assert found["metadata"] == {
        "name": "web", "namespace": "default", "creationTimestamp": TIME, "labels": {"app": "web"},
    }  # fmt: skip
    assert found["timestamp"] == TIME
    assert [c["usage"] for c in found["containers"]] == [
        {"cpu": "250000000n", "memory": "5120Ki"},
        {"cpu": "1n", "memory": "0Ki"},
    ]


async def test_a_node_that_does_not_answer_hides_only_itself():
    agents = Agents(n1=summary(web={"a": used(1, 1)}))
    handler = MetricsHandler(agents, Reader(pod("web", "n1"), pod("lost", "n2"), pod("pending", "")), FakeClock())
    assert names(await handler.nodes(asked(NODES))) == ["n1"]
    assert names(await handler.pods(asked(PODS))) == ["web"]


async def test_selectors():
    agents = Agents(n1=summary(web={"a": used(1, 1)}, db={"a": used(1, 1)}))
    handler = MetricsHandler(agents, Reader(pod("web", "n1", app="web"), pod("db", "n1", app="db")), FakeClock())
    assert names(await handler.pods(asked(PODS, query=b"labelSelector=app%3Ddb"))) == ["db"]
    assert names(await handler.pods(asked(PODS, query=b"fieldSelector=metadata.name%3Dweb"))) == ["web"]


async def test_no_rate_yet_means_no_metrics():
    agents = Agents(n1=summary(web={"a": used(None, 1)}))
    handler = MetricsHandler(agents, Reader(pod("web", "n1")), FakeClock())
    assert names(await handler.pods(asked(PODS))) == []
    with pytest.raises(NotFoundError, match=r'pods.metrics.k8s.io "web" not found'):
        await handler.pods(asked(f"{PODS}/web", "get"))


async def test_many_questions_ask_an_agent_once():
    clock = FakeClock()
    agents = Agents(n1=summary(), n2=summary())
    handler = MetricsHandler(agents, Reader(), clock)
    await asyncio.gather(*(handler.nodes(asked(NODES)) for _ in range(20)))
    assert sorted(agents.asked) == ["n1", "n2"]
    await clock.advance(KEEP_SECONDS)
    await handler.nodes(asked(f"{NODES}/n1", "get"))
    assert sorted(agents.asked) == ["n1", "n1", "n2"]


async def test_metrics_are_read_only():
    handler = MetricsHandler(Agents(), Reader(), FakeClock())
    with pytest.raises(MethodNotAllowedError):
        await handler.nodes(asked(f"{NODES}/n1", "delete"))
