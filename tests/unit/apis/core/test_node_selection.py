"""nodeSelector and required node affinity, of one node."""

import pytest

from windlass.apis.core.v1.node_selection import matches_node

NODE = {"metadata": {"name": "n1", "labels": {"zone": "a", "cores": "8"}}}


def affinity(*terms):
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


def labels(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def fields(operator, *values):
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        ({"nodeSelector": {"absent": ""}}, False),
        (affinity(labels("zone", "In", "a", "b")), True),
        (affinity(labels("zone", "NotIn", "a")), False),
        (affinity(labels("absent", "NotIn", "a")), True),
        (affinity(labels("zone", "Exists")), True),
        (affinity(labels("zone", "DoesNotExist")), False),
        (affinity(labels("cores", "Gt", "7")), True),
        (affinity(labels("cores", "Gt", "8")), False),
        (affinity(labels("cores", "Lt", "9")), True),
        (affinity(labels("zone", "Gt", "1")), False),
        (affinity(fields("In", "n1")), True),
        (affinity(fields("NotIn", "n1")), False),
        (affinity(labels("zone", "In", "b"), fields("In", "n1")), True),
        (affinity({}), False),
        (affinity(), False),
        ({"nodeSelector": {"zone": "b"}, **affinity(fields("In", "n1"))}, False),
    ],
)
def test_matches_node(spec, expected):
    assert matches_node(spec, NODE) is expected
