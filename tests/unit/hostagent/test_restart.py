"""Restart policy and back-off."""

import pytest

from windlass_hostagent.pods.restart import (
    BackOff,
    next_back_off,
    recovered_back_off,
    remaining_seconds,
    should_restart,
)


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_policy(policy, code, expected):
    """C232."""
    assert should_restart(policy, code) is expected


def test_delays_double_to_five_minutes():
    entry, delays = None, []
    for _ in range(7):
        entry = next_back_off(entry, 0.0)
        delays.append(entry.delay_seconds)
    assert delays == [10, 20, 40, 80, 160, 300, 300]


def test_ten_quiet_minutes_start_over():
    assert next_back_off(BackOff(300, 0), 601) == BackOff(10, 601)
    assert remaining_seconds(BackOff(300, 0), ended_at=601, now=601) == 0


def test_the_wait_counts_from_the_end():
    assert remaining_seconds(BackOff(20, 100), ended_at=105, now=110) == 15
    assert remaining_seconds(None, ended_at=105, now=105) == 0


def test_a_new_agent_rebuilds_the_entry():
    assert recovered_back_off(0, 5.0) is None
    assert recovered_back_off(3, 5.0) == BackOff(40, 5.0)
    assert recovered_back_off(1000, 5.0) == BackOff(300, 5.0)
