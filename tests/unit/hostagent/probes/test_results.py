"""Thresholds and schedules of probes, without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_hostagent.pods.observation import Health
from windlass_hostagent.pods.probes.results import (
    Outcome,
    Result,
    Tally,
    count,
    first_delay,
    judge,
    next_delay,
    verdict,
)
from windlass_hostagent.pods.probes.spec import ProbeError, parse_probe, probes_of, resolve_port

GOOD, BAD, ODD = Outcome(Result.SUCCESS), Outcome(Result.FAILURE), Outcome(Result.UNKNOWN)


def proved(outcomes, **probe):
    spec = parse_probe("liveness", probe)
    tally, found = Tally(), []
    for outcome in outcomes:
        tally = count(tally, outcome)
        found.append(verdict(tally, spec))
    return found


def test_defaults_are_the_apis():
    spec = parse_probe("readiness", {"exec": {"command": ["true"]}})
    assert (spec.period_seconds, spec.timeout_seconds, spec.success_threshold, spec.failure_threshold) == (10, 1, 1, 3)
    assert spec.initial_delay_seconds == 0


def test_a_period_of_zero_is_no_busy_loop():
    """N73."""
    assert parse_probe("liveness", {"periodSeconds": 0, "timeoutSeconds": 0}).period_seconds == 10
    assert parse_probe("liveness", {"periodSeconds": 0.0001}).period_seconds == 1


def test_three_failures_in_a_row_prove_it():
    assert proved([BAD, BAD, BAD]) == [None, None, False]
    assert proved([BAD, BAD, GOOD, BAD, BAD]) == [None, None, True, None, None]


def test_an_unknown_outcome_counts_neither_way():
    assert proved([BAD, BAD, ODD, BAD]) == [None, None, None, False]


def test_successes_are_counted_too():
    assert proved([GOOD, GOOD, BAD, GOOD], successThreshold=2, failureThreshold=1) == [None, True, False, None]


@given(st.lists(st.sampled_from([GOOD, BAD, ODD])), st.integers(1, 5), st.integers(1, 5))
def test_a_proof_is_a_row_of_that_length(outcomes, successes, failures):
    last = proved(outcomes, successThreshold=successes, failureThreshold=failures)[-1:] or [None]
    told = [o for o in outcomes if o is not ODD]
    if last[0] is True:
        assert told[-successes:] == [GOOD] * successes
    elif last[0] is False:
        assert told[-failures:] == [BAD] * failures


@pytest.mark.parametrize(
    ("kind", "good", "expected"),
    [
        ("readiness", True, Health(started=False, ready=True)),
        ("readiness", False, Health(started=False, ready=False)),
        ("startup", True, Health(started=True, ready=False)),
        ("startup", False, Health(started=False, ready=False, failed="startup", grace_seconds=7)),
        ("liveness", True, Health(started=False, ready=False)),
        ("liveness", False, Health(started=False, ready=False, failed="liveness", grace_seconds=7)),
        ("liveness", None, Health(started=False, ready=False)),
    ],
)
def test_what_each_sort_of_probe_decides(kind, good, expected):
    spec = parse_probe(kind, {"terminationGracePeriodSeconds": 7})
    assert judge(Health(started=False, ready=False), spec, proved=good) == expected


def test_the_initial_delay_counts_from_the_start():
    """C281."""
    spec = parse_probe("readiness", {"initialDelaySeconds": 30})
    assert first_delay(spec, 0.0) == 30.0
    assert first_delay(spec, 12.0) == 18.0
    assert first_delay(spec, 99.0) == 0.0
    assert first_delay(spec, -1e9) == 30.0, "a clock that went back makes nobody wait longer"


def test_a_container_that_has_just_started_is_asked_again_soon():
    ready, unready = Health(ready=True), Health(ready=False)
    spec = parse_probe("readiness", {})
    assert next_delay(spec, unready, 0.1) == 0.5
    assert next_delay(spec, unready, 5.0) == 10.0
    assert next_delay(spec, ready, 0.1) == 10.0
    assert next_delay(parse_probe("liveness", {}), unready, 0.1) == 10.0


def test_ports_have_numbers_or_names():
    container = {"ports": [{"name": "web", "containerPort": 8080}]}
    assert resolve_port(container, 80) == 80
    assert resolve_port(container, "81") == 81
    assert resolve_port(container, "web") == 8080
    for port in ("metrics", 0, 70000, None):
        with pytest.raises(ProbeError):
            resolve_port(container, port)


def test_a_container_has_up_to_three_probes():
    probe = {"exec": {"command": ["true"]}}
    found = probes_of({"livenessProbe": probe, "readinessProbe": probe, "startupProbe": None})
    assert [p.kind for p in found] == ["liveness", "readiness"]
