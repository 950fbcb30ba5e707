"""Every Node gets a range for its pods, never one twice."""

import asyncio

import pytest

from windlass.apis.resources import NODES
from windlass.client.informer import InformerFactory
from windlass.client.recorder import EventRecorder
from windlass.errors import ConfigError
from windlass.plugin.config import validate_section
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.nodeipam.controller import NodeIpamController, pod_cidrs
from windlass_controllers.nodeipam.plan import allocate_all, cluster_ranges
from windlass_controllers.plugin import ControllersSchema


def node(name, cidr=""):
    spec = {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}


def start(cluster, informers=None, **config):
    recorder = EventRecorder(cluster.client, "nodeipam-controller", cluster.clock)
    cluster.start(recorder.run())
    found = informers or cluster.informers
    return cluster.start(
        NodeIpamController(ControllerContext(cluster.client, found, recorder, cluster.clock, config)).run()
    )


async def ranges_of(cluster, count):
    async def all_have():
        nodes = await cluster.items(NODES, "")
        found = {n["metadata"]["name"]: n["spec"].get("podCIDRs") for n in nodes}
        return found if len(found) >= count and all(found.values()) else None

    return await cluster.eventually(all_have)


async def test_nodes_get_distinct_ranges_beside_those_that_brought_one(cluster):
    await cluster.client.create(NODES, node("own", "10.244.1.0/24"))
    start(cluster)
    await asyncio.gather(*(cluster.client.create(NODES, node(f"more-{i}")) for i in range(12)))
    found = await ranges_of(cluster, 14)
    assert len({cidrs[0] for cidrs in found.values()}) == 14
    assert found["own"] == ["10.244.1.0/24"]


async def test_both_families(cluster):
    start(cluster, cluster_cidrs=["10.9.0.0/16", "fd00:9::/56"])
    assert await ranges_of(cluster, 1) == {"n1": ["10.9.0.0/24", "fd00:9::/64"]}


async def test_another_leader_goes_on_where_the_first_stopped(cluster):
    first = start(cluster)
    before = await ranges_of(cluster, 1)
    first.cancel()
    informers = InformerFactory(cluster.client, cluster.clock)
    cluster.start(informers.run())
    start(cluster, informers)
    await cluster.client.create(NODES, node("n2"))
    after = await ranges_of(cluster, 2)
    assert after["n1"] == before["n1"]
    assert after["n2"] != after["n1"]


async def test_a_full_range_is_told_and_served_when_a_node_goes(cluster):
    start(cluster, cluster_cidrs=["10.9.0.0/24"])
    await ranges_of(cluster, 1)
    await cluster.client.create(NODES, node("n2"))

    async def told():
        events = await cluster.client.raw("GET", "/api/v1/events")
        return "CIDRNotAvailable" in str(events)

    await cluster.eventually(told)
    assert "podCIDR" not in (await cluster.client.get(NODES, "n2"))["spec"]
    await cluster.client.delete(NODES, "n1")
    await cluster.client.patch(NODES, "n2", {"metadata": {"labels": {"touched": "yes"}}})
    assert await ranges_of(cluster, 1) == {"n2": ["10.9.0.0/24"]}


class TestRanges:
    def test_a_freed_part_rests_longest(self):
        (part,) = cluster_ranges(["10.0.0.0/22"])
        assert [part.allocate(n) for n in "abc"] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
        part.release("a")
        assert part.allocate("d") == "10.0.3.0/24"
        assert part.allocate("e") == "10.0.0.0/24"
        assert part.allocate("f") is None

    def test_whatever_overlaps_counts(self):
        (part,) = cluster_ranges(["10.0.0.0/22"])
        part.hold("big", ["10.0.0.0/23"])
        part.hold("small", ["10.0.2.128/25"])
        part.hold("elsewhere", ["10.77.0.0/24", "fd00::/64", "rubbish"])
        assert part.allocate("n") == "10.0.3.0/24"

    def test_a_part_held_twice_is_free_when_both_are_gone(self):
        (part,) = cluster_ranges(["10.0.0.0/24"])
        part.hold("a", ["10.0.0.0/24"])
        part.hold("b", ["10.0.0.0/24"])
        part.release("a")
        assert part.allocate("c") is None
        part.release("b")
        assert part.allocate("c") == "10.0.0.0/24"

    def test_all_families_or_none(self):
        ranges = cluster_ranges(["10.0.0.0/16", "fd00::/64"])
        assert allocate_all(ranges, "a") == ["10.0.0.0/24", "fd00::/64"]
        assert allocate_all(ranges, "b") == []
        ranges[1].release("a")
        assert allocate_all(ranges, "b") == ["10.0.2.0/24", "fd00::/64"]

    @pytest.mark.parametrize("cidrs", [["10.0.0.0/25"], ["10.0.0.0/16", "10.1.0.0/16"], ["nonsense"]])
    def test_bad_ranges(self, cidrs):
        with pytest.raises(ValueError, match=r".+"):
            cluster_ranges(cidrs)


@pytest.mark.parametrize("cidrs", [["10.0.0.0/25"], ["10.0.0.0/16", "10.1.0.0/16"], ["nonsense"], []])
def test_the_configuration_refuses_them_too(cidrs):
    declared = {"section": "windlass-controllers", "schema": ControllersSchema}
    with pytest.raises(ConfigError, match="cluster_cidrs"):
        validate_section("windlass-controllers", declared, {"windlass-controllers": {"cluster_cidrs": cidrs}})


def test_a_node_without_the_list():
    assert pod_cidrs(node("n")) == []
    assert pod_cidrs({"spec": {"podCIDR": "10.0.0.0/24"}}) == ["10.0.0.0/24"]
