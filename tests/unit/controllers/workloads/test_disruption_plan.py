"""How many pods of a budget may be missed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apis.scheme import builtin_scheme
from windlass.clock import rfc3339
from windlass.errors import TooManyRequestsError
from windlass.registry.eviction import taken
from windlass_controllers.disruption.plan import failed_status, needs_scale, plan_budget, share

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KIND = builtin_scheme().by_kind("policy/v1", "PodDisruptionBudget")


def budget(*, disrupted=None, **spec):
    status = {"disruptedPods": disrupted} if disrupted else {}
    return {"metadata": {"name": "b", "namespace": "default", "generation": 4}, "spec": spec, "status": status}


def pod(name, *, ready=True, deleting=False):
    metadata = {"name": name, "namespace": "default", "uid": name}
    if deleting:
        metadata["deletionTimestamp"] = rfc3339(NOW)
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": conditions}}


def pods(ready, unready=0):
    return [pod(f"r{n}") for n in range(ready)] + [pod(f"u{n}", ready=False) for n in range(unready)]


@pytest.mark.parametrize(
    ("spec", "found", "scale", "expected"),
    [
        ({"minAvailable": 2}, pods(3), 0, (3, 2, 3, 1)),
        ({"minAvailable": 2}, pods(1, 4), 0, (1, 2, 5, 0)),
        ({"minAvailable": 0}, [], 0, (0, 0, 0, 0)),
        ({"minAvailable": "50%"}, pods(5), 5, (5, 3, 5, 2)),
        ({"minAvailable": "28%"}, pods(100), 100, (100, 28, 100, 72)),
        ({"maxUnavailable": 1}, pods(3), 3, (3, 2, 3, 1)),
        ({"maxUnavailable": "30%"}, pods(7), 7, (7, 4, 7, 3)),
        ({"maxUnavailable": 1}, pods(3), 5, (3, 4, 5, 0)),
        ({"maxUnavailable": 9}, pods(3), 3, (3, 0, 3, 3)),
        ({}, pods(3), 0, (3, 0, 0, 0)),
    ],
)
def test_counts(spec, found, scale, expected):
    status = plan_budget(budget(**spec), found, scale, NOW).status
    keys = ("currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed")
    assert tuple(status[key] for key in keys) == expected
    assert status["observedGeneration"] == 4
    reason = "SufficientPods" if expected[3] else "InsufficientPods"
    assert [c["reason"] for c in status["conditions"]] == [reason]


def test_percentages_round_up_and_need_the_scale():
    assert [share(value, 7) for value in ("0%", "1%", "50%", "100%", 3)] == [0, 1, 4, 7, 3]
    assert needs_scale(budget(maxUnavailable=1))
    assert needs_scale(budget(minAvailable="1%"))
    assert not needs_scale(budget(minAvailable=1))


def test_granted_evictions_count_as_gone_for_two_minutes():
    earlier, long_ago = (rfc3339(NOW - timedelta(seconds=s)) for s in (30, 121))
    before = {"r0": earlier, "r1": long_ago, "r2": earlier, "lost": earlier}
    found = [pod("r0"), pod("r1"), pod("r2", deleting=True), pod("r3")]
    plan = plan_budget(budget(disrupted=before, minAvailable=1), found, 0, NOW)
    assert plan.status["disruptedPods"] == {"r0": earlier}
    assert plan.status["currentHealthy"] == 2
    assert [late["metadata"]["name"] for late in plan.not_deleted] == ["r1"]
    assert plan.again_seconds == 90


def test_a_failed_count_allows_nothing_and_says_why():
    before = {**budget(maxUnavailable=1), "status": {"disruptionsAllowed": 2, "currentHealthy": 3}}
    status = failed_status(before, "jobs.batch does not implement the scale subresource", NOW)
    (condition,) = status["conditions"]
    assert (status["disruptionsAllowed"], status["currentHealthy"]) == (0, 3)
    assert (condition["reason"], condition["status"]) == ("SyncFailed", "False")
    assert "does not implement" in condition["message"]


@given(st.integers(1, 9), st.integers(0, 9), st.lists(st.sampled_from(["evict", "count", "see"]), max_size=40))
def test_however_late_the_controller_sees_it_never_too_few_are_left(count, least, steps):
    """Evictions and counts in any order, the count from an old view of the pods: `minAvailable` pods stay."""
    current = budget(minAvailable=least)
    real, seen = pods(count), pods(count)
    current["status"] = plan_budget(current, seen, 0, NOW).status
    for step in steps:
        if step == "see":
            seen = [dict(each) for each in real]
        elif step == "count":
            current["status"] = plan_budget(current, seen, 0, NOW).status
        else:
            standing = [index for index, each in enumerate(real) if "deletionTimestamp" not in each["metadata"]]
            if standing:
                name = real[standing[0]]["metadata"]["name"]
                try:
                    current = taken(KIND, current, name, rfc3339(NOW))
                except TooManyRequestsError:
                    continue
                real[standing[0]] = pod(name, deleting=True)
    left = sum("deletionTimestamp" not in each["metadata"] for each in real)
    assert left >= min(least, count)
