from datetime import UTC, datetime

import pytest

from windlass.apimachinery.decode import decode
from windlass.apis.node.v1 import KINDS as RUNTIME_KINDS
from windlass.apis.policy.v1 import Eviction
from windlass.apis.scheduling.v1 import KINDS as PRIORITY_KINDS

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PRIORITY, RUNTIME = PRIORITY_KINDS[0], RUNTIME_KINDS[0]


def make(kind, **fields):
    meta = {"name": fields.pop("name", "x"), "creationTimestamp": "2026-01-01T11:00:00Z"}
    decoded = decode(kind.schema, {"metadata": meta, **fields})
    assert decoded.errors == []
    return decoded.obj


def row(kind, obj):
    return [column.value(obj, NOW) for column in kind.strategy.columns]


def test_columns():
    assert row(PRIORITY, make(PRIORITY, value=7)) == [7, False, "60m", "PreemptLowerPriority"]
    assert row(RUNTIME, make(RUNTIME, handler="runc")) == ["runc", "60m"]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("high", 1_000_000_000, None),
        ("high", 1_000_000_001, "value"),
        ("system-mine", 5, "metadata.name"),
        ("system-node-critical", 2_000_001_000, None),
        ("system-node-critical", 5, "metadata.name"),
    ],
)
def test_user_classes_stay_below_the_systems(name, value, field):
    found = PRIORITY.strategy.validate(make(PRIORITY, name=name, value=value))
    assert [error.field for error in found] == ([field] if field else [])


def test_a_priority_keeps_its_value():
    old = make(PRIORITY, value=1)
    assert PRIORITY.strategy.validate_update(make(PRIORITY, value=1, description="new"), old) == []
    found = PRIORITY.strategy.validate_update(make(PRIORITY, value=2, preemptionPolicy="Never"), old)
    assert [error.field for error in found] == ["preemptionPolicy", "value"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"handler": ""}, "handler"),
        ({"handler": "A_b"}, "handler"),
        ({"handler": "a", "overhead": {"podFixed": {"cpu": "-1"}}}, "overhead.podFixed[cpu]"),
        ({"handler": "a", "scheduling": {"nodeSelector": {"a b": ""}}}, "scheduling.nodeSelector"),
        ({"handler": "a", "scheduling": {"tolerations": [{}]}}, "scheduling.tolerations[0].operator"),
    ],
)
def test_rules_of_runtime_classes(fields, path):
    assert [error.field for error in RUNTIME.strategy.validate(make(RUNTIME, **fields))] == [path]


def test_a_runtime_class_keeps_its_handler():
    found = RUNTIME.strategy.validate_update(make(RUNTIME, handler="b"), make(RUNTIME, handler="a"))
    assert [error.message for error in found] == ['Invalid value: "b": field is immutable']


def test_an_eviction_carries_delete_options():
    body = {"metadata": {"name": "web"}, "deleteOptions": {"gracePeriodSeconds": 5, "preconditions": {"uid": "1"}}}
    assert decode(Eviction, body).obj == body
