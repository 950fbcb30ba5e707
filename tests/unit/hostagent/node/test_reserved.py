"""Allocatable is capacity minus what is kept."""

import pytest

from windlass.errors import ConfigError
from windlass_hostagent.context import NodeCapacity
from windlass_hostagent.eviction.thresholds import parse_thresholds
from windlass_hostagent.node.reserved import allocatable, parse_reserved

CAPACITY = NodeCapacity("2", "1024Mi", "1000Mi", "110", 1 << 30)


def test_nothing_kept_is_capacity():
    assert allocatable(CAPACITY, [], []) == CAPACITY.resources()


def test_reserved_and_thresholds_are_taken_off():
    kept = [parse_reserved("cpu=100m, memory=24Mi"), parse_reserved("cpu=400m,ephemeral-storage=100Mi")]
    left = allocatable(CAPACITY, kept, parse_thresholds("memory.available<100Mi,nodefs.available<10%"))
    assert left == {
        "cpu": "1500m", "memory": str(900 << 20), "ephemeral-storage": str(800 << 20), "pods": "110",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["cpu", "gpu=1", "memory=lots"])
def test_nonsense_is_named(text):
    with pytest.raises(ConfigError, match="reserved resource"):
        parse_reserved(text)


@pytest.mark.parametrize("text", ["cpu=2", "memory=1Gi"])
def test_nothing_left_is_refused(text):
    with pytest.raises(ConfigError, match="nothing"):
        allocatable(CAPACITY, [parse_reserved(text)], [])
