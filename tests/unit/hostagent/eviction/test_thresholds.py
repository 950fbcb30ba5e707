"""Eviction thresholds: how they are written, and when they are crossed."""

import pytest

from windlass.errors import ConfigError
from windlass_hostagent.eviction.thresholds import DEFAULT_HARD, parse_thresholds, shortages, signals
from windlass_hostagent.stats.sample import FilesystemSample, MemorySample, NodeSample

GIB = 1 << 30


def sample(*, memory=2 * GIB, disk=50 * GIB, inodes=1000, pids=100):
    nodefs = FilesystemSample("/data", 100 * GIB, disk, 100 * GIB - disk, 1000, inodes)
    return NodeSample(0.0, 0, MemorySample(4 * GIB, memory), nodefs, nodefs, 1000, pids)


def crossed(found):
    return [s.signal for s in found]


def test_the_defaults_are_kubelets():
    assert {t.signal for t in parse_thresholds(DEFAULT_HARD)} == set(signals(sample())) - {"imagefs.inodesFree"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"memory": 99 << 20}, ["memory.available"]),
        ({"memory": 100 << 20}, []),
        ({"disk": 12 * GIB}, ["imagefs.available"]),
        ({"disk": 9 * GIB}, ["imagefs.available", "nodefs.available"]),
        ({"inodes": 49}, ["nodefs.inodesFree"]),
        ({"pids": 901}, ["pid.available"]),
        ({"pids": 901, "memory": 0}, ["memory.available", "pid.available"]),
    ],
)
def test_what_is_short(changes, expected):
    assert crossed(shortages(sample(**changes), parse_thresholds(DEFAULT_HARD))) == expected


def test_a_file_system_that_counts_no_inodes_is_never_short_of_them():
    bare = FilesystemSample("/data", GIB, GIB, 0, 0, 0)
    looked = NodeSample(0.0, 0, MemorySample(GIB, GIB), bare, bare, 10, 1)
    assert shortages(looked, parse_thresholds("nodefs.inodesFree<5%")) == []


@pytest.mark.parametrize(
    "text", ["memory.available", "memory<1Gi", "memory.available<much", "pid.available<0%", "pid.available<120%"]
)
def test_nonsense_is_named(text):
    with pytest.raises(ConfigError, match="eviction threshold"):
        parse_thresholds(text)
