import copy
from datetime import UTC, datetime

import pytest

from windlass.apimachinery.decode import decode
from windlass.apis.core.v1.node import KINDS

NODE = KINDS[0]
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def make_node(spec=None, status=None, labels=None):
    meta = {"name": "n1", "creationTimestamp": "2026-01-01T11:59:00Z", "labels": labels or {}}
    decoded = decode(NODE.schema, {"metadata": meta, "spec": spec or {}, "status": status or {}})
    assert decoded.errors == []
    NODE.strategy.prepare_for_create(decoded.obj)
    NODE.strategy.default(decoded.obj)
    return decoded.obj


def problems(node):
    return [f"{error.field}: {error.message}" for error in NODE.strategy.validate(node)]


def row(node):
    return {column.name: column.value(node, NOW) for column in NODE.strategy.columns}


def ready(status):
    return {"conditions": [{"type": "Ready", "status": status}]}


@pytest.mark.parametrize(
    ("status", "spec", "expected"),
    [
        (ready("True"), {}, "Ready"),
        (ready("False"), {}, "NotReady"),
        (ready("Unknown"), {}, "NotReady"),
        ({}, {}, "Unknown"),
        (ready("True"), {"unschedulable": True}, "Ready,SchedulingDisabled"),
    ],
)
def test_status_column(status, spec, expected):
    assert row(make_node(spec, status))["Status"] == expected


def test_columns_of_a_full_node():
    node = make_node(
        status={
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {
                "kubeletVersion": "v1.32.0",
                "osImage": "Linux",
                "kernelVersion": "6.1",
                "containerRuntimeVersion": "docker://28",
            },
        },
        labels={"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"},
    )
    assert row(node) == {
        "Status": "Unknown",
        "Roles": "edge,worker",
        "Age": "60s",
        "Version": "v1.32.0",
        "Internal-IP": "10.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "Linux",
        "Kernel-Version": "6.1",
        "Container-Runtime": "docker://28",
    }


def test_a_node_keeps_its_status_on_create_and_offers_its_capacity():
    """An agent registers its node together with what it has, in whatever part it knows already."""
    status = make_node(status={"capacity": {"cpu": "2"}, "nodeInfo": {"kubeletVersion": "v1"}})["status"]
    assert status["allocatable"] == {"cpu": "2"}
    assert status["nodeInfo"]["machineID"] == ""


def test_range_and_ranges_agree():
    assert make_node({"podCIDR": "10.1.0.0/24"})["spec"]["podCIDRs"] == ["10.1.0.0/24"]
    assert make_node({"podCIDRs": ["10.1.0.0/24"]})["spec"]["podCIDR"] == "10.1.0.0/24"


TAINT = {"key": "a", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"taints": [TAINT, TAINT]}, "spec.taints[1]: Duplicate value"),
        ({"taints": [{**TAINT, "key": "-"}]}, "spec.taints[0].key: Invalid value"),
        ({"taints": [{**TAINT, "value": "a b"}]}, "spec.taints[0].value: Invalid value"),
        ({"podCIDR": "10.1.0.0"}, "spec.podCIDRs[0]: Invalid value"),
    ],
)
def test_rules_of_nodes(spec, field):
    (found,) = problems(make_node(spec))
    assert found.startswith(field)


def test_amounts_and_addresses_are_checked():
    address = {"type": "InternalIP", "address": "10.0.0.1"}
    found = problems(
        make_node(status={"capacity": {"cpu": "-1"}, "allocatable": {"cpu": "1"}, "addresses": [address] * 2})
    )
    assert [line.split(":")[0] for line in found] == ["status.addresses[1]", "status.capacity[cpu]"]


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ({}, {"podCIDR": "10.1.0.0/24"}, True),
        ({"podCIDR": "10.1.0.0/24"}, {"podCIDR": "10.1.0.0/24", "unschedulable": True}, True),
        ({"podCIDR": "10.1.0.0/24"}, {"podCIDR": "10.2.0.0/24"}, False),
        ({"podCIDR": "10.1.0.0/24"}, {}, False),
        ({"providerID": "a"}, {"providerID": "b"}, False),
    ],
)
def test_what_ties_a_node_to_its_place_stays(before, after, allowed):
    found = NODE.strategy.validate_update(make_node(after), make_node(before))
    assert (found == []) is allowed


def test_selectable_fields_and_warnings():
    node = make_node({"unschedulable": True, "externalID": "x"})
    assert NODE.strategy.selectable_fields(node) == {"spec.unschedulable": "true"}
    assert NODE.strategy.warnings(node) == ["spec.externalID: deprecated in v1.16, no longer used"]


def test_defaults_are_stable():
    node = make_node({"podCIDR": "10.1.0.0/24"}, {"capacity": {"cpu": "2"}})
    again = copy.deepcopy(node)
    NODE.strategy.default(again)
    assert again == node
