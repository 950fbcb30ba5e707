"""Jobs: what is created, what is counted, how they end."""

import copy
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.clock import rfc3339
from windlass_controllers.job.failures import verdict
from windlass_controllers.job.indexes import ANNOTATION, format_indexes, parse_indexes
from windlass_controllers.job.plan import PodWanted, backoff_seconds, is_finished, plan_job
from windlass_controllers.job.tally import FINALIZER
from windlass_controllers.job.template import new_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(*, status=None, restart="Never", **spec):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": restart, "containers": [{"name": "c"}]}}
    chosen = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", **spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": "default", "uid": "j"},
        "spec": {"template": template, **chosen},
        "status": status or {},
    }


def pod(name, phase="Running", *, index=None, code=1, tracked=True, ended=NOW, deleted=False, annotations=None):
    notes = {**(annotations or {}), **({ANNOTATION: str(index)} if index is not None else {})}
    metadata = {
        "name": name, "namespace": "default", "uid": name, "annotations": notes, "creationTimestamp": name,
        "finalizers": [FINALIZER] if tracked else [],
    }  # fmt: skip
    if deleted:
        metadata["deletionTimestamp"] = rfc3339(ended)
    status = {"phase": phase}
    if phase in {"Succeeded", "Failed"}:
        exit_code = 0 if phase == "Succeeded" else code
        ending = {"terminated": {"exitCode": exit_code, "finishedAt": rfc3339(ended)}}
        status["containerStatuses"] = [{"name": "c", "state": ending}]
    return {"metadata": metadata, "spec": {}, "status": status}


def conditions(plan):
    return {c["type"]: c.get("reason") for c in plan.status["conditions"] if c["status"] == "True"}


def test_the_first_round_starts_and_creates():
    plan = plan_job(job(parallelism=3, completions=2), [], NOW)
    assert plan.create == [PodWanted()] * 2
    assert plan.status["startTime"] == rfc3339(NOW)


def test_a_work_queue_fills_its_parallelism_until_one_succeeds():
    queue = job(parallelism=3, completions=None)
    assert len(plan_job(queue, [], NOW).create) == 3
    plan = plan_job(queue, [pod("a"), pod("b"), pod("c", "Succeeded")], NOW)
    assert plan.create == []
    assert "SuccessCriteriaMet" not in conditions(plan)
    done = plan_job(queue, [pod("c", "Succeeded")], NOW)
    assert conditions(done) == {"SuccessCriteriaMet": "CompletionsReached"}


def test_a_success_is_listed_released_and_then_counted():
    first = plan_job(job(), [pod("a", "Succeeded")], NOW)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"]}
    assert first.status["succeeded"] == 0
    assert [p["metadata"]["name"] for p in first.release] == ["a"]
    assert "Complete" not in conditions(first)
    second = plan_job(job(status=first.status), [pod("a", "Succeeded", tracked=False)], NOW)
    assert second.status["succeeded"] == 1
    assert second.status["uncountedTerminatedPods"] == {}
    assert conditions(second) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert second.status["completionTime"] == rfc3339(NOW)


def test_a_failure_is_waited_out_and_replaced():
    failed = pod("a", "Failed", ended=NOW - timedelta(seconds=3))
    plan = plan_job(job(), [failed], NOW)
    assert (plan.create, plan.again_seconds) == ([], 7.0)
    assert plan_job(job(), [failed], NOW + timedelta(seconds=7)).create == [PodWanted()]


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (4, 80), (9, 600), (500, 600)])
def test_backoff_doubles_to_ten_minutes(failures, seconds):
    assert backoff_seconds(failures, rfc3339(NOW), NOW) == seconds


def test_too_many_failures_end_it_and_its_pods():
    plan = plan_job(
        job(backoffLimit=1, parallelism=3, completions=3), [pod("a", "Failed"), pod("b", "Failed"), pod("c")], NOW
    )
    assert conditions(plan) == {"FailureTarget": "BackoffLimitExceeded"}
    assert [p["metadata"]["name"] for p in plan.delete] == ["c"]
    assert plan.create == []


def test_the_deadline_ends_it_and_is_watched():
    started = rfc3339(NOW - timedelta(seconds=50))
    assert plan_job(job(status={"startTime": started}, activeDeadlineSeconds=60), [pod("a")], NOW).again_seconds == 10
    plan = plan_job(job(status={"startTime": started}, activeDeadlineSeconds=50), [pod("a")], NOW)
    assert conditions(plan) == {"FailureTarget": "DeadlineExceeded"}


def test_suspend_stops_and_resume_begins_anew():
    plan = plan_job(job(suspend=True, status={"startTime": "2025-01-01T00:00:00Z"}), [pod("a")], NOW)
    assert conditions(plan) == {"Suspended": "JobSuspended"}
    assert "startTime" not in plan.status
    assert [p["metadata"]["name"] for p in plan.delete] == ["a"]
    again = plan_job(job(status=plan.status), [], NOW)
    assert again.status["startTime"] == rfc3339(NOW)
    assert conditions(again) == {}
    assert again.create == [PodWanted()]


def test_indexes_are_made_once_and_kept():
    indexed = job(
        completionMode="Indexed", parallelism=3, completions=5, status={"completedIndexes": "1", "succeeded": 1}
    )
    plan = plan_job(indexed, [pod("a", index=0)], NOW)
    assert [w.index for w in plan.create] == [2, 3]
    doubled = plan_job(indexed, [pod("a", index=0), pod("b", index=0), pod("c", index=1)], NOW)
    assert [p["metadata"]["name"] for p in doubled.delete] == ["b", "c"]


def test_a_limit_per_index_fails_only_that_index():
    limited = job(completionMode="Indexed", parallelism=2, completions=2, backoffLimitPerIndex=0, backoffLimit=100)
    plan = plan_job(limited, [pod("a", "Failed", index=0), pod("b", index=1)], NOW)
    assert plan.status["failedIndexes"] == "0"
    assert conditions(plan) == {}
    end = plan_job(limited, [pod("a", "Failed", index=0), pod("b", "Succeeded", index=1)], NOW)
    assert conditions(end) == {"FailureTarget": "FailedIndexes"}


def test_a_success_policy_is_enough():
    policy = {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}
    early = job(completionMode="Indexed", parallelism=3, completions=3, successPolicy=policy)
    assert conditions(plan_job(early, [pod("a", "Succeeded", index=1)], NOW)) == {}
    plan = plan_job(early, [pod("a", "Succeeded", index=2), pod("b", index=0)], NOW)
    assert conditions(plan) == {"SuccessCriteriaMet": "SuccessPolicy"}
    assert [p["metadata"]["name"] for p in plan.delete] == ["b"]


RULES = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}


def test_a_failure_policy_ends_or_forgives():
    strict = job(podFailurePolicy=RULES, podReplacementPolicy="Failed")
    plan = plan_job(strict, [pod("a", "Failed", code=42)], NOW)
    assert conditions(plan) == {"FailureTarget": "PodFailurePolicy"}
    assert "exit code 42 matching FailJob rule at index 0" in plan.status["conditions"][0]["message"]
    forgiven = pod("b", "Failed")
    forgiven["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    ignored = plan_job(strict, [forgiven], NOW)
    assert ignored.status["uncountedTerminatedPods"] == {}
    assert [p["metadata"]["name"] for p in ignored.release] == ["b"]
    assert verdict(strict, pod("c", "Failed", code=7)).action == "Count"


def test_a_pod_that_is_ending_counts_as_failed_unless_only_failures_are_replaced():
    ending = pod("a", deleted=True)
    assert plan_job(job(), [ending], NOW).status["uncountedTerminatedPods"] == {"failed": ["a"]}
    patient = plan_job(job(podReplacementPolicy="Failed"), [ending], NOW)
    assert patient.status["uncountedTerminatedPods"] == {}
    assert patient.create == []


def test_the_pod():
    made = new_pod(job(completionMode="Indexed", backoffLimitPerIndex=3), PodWanted(4, 2), "abcde")
    assert made["metadata"]["name"] == "work-4-abcde"
    assert made["metadata"]["labels"] == {"a": "b", ANNOTATION: "4"}
    assert made["metadata"]["finalizers"] == [FINALIZER]
    assert made["spec"]["hostname"] == "work-4"
    assert made["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"


@given(st.sets(st.integers(0, 300)))
def test_indexes_round_trip(indexes):
    assert parse_indexes(format_indexes(indexes), 301) == indexes


@pytest.mark.parametrize(
    ("text", "expected"), [("", set()), ("x,1", {1}), ("3-9", {3, 4}), ("5", set()), ("2-1", set())]
)
def test_odd_indexes(text, expected):
    assert parse_indexes(text, 5) == expected


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 1 << 32))
def test_however_it_goes_every_end_is_counted_once(completions, parallelism, indexed, seed):
    """P87: the controller may die after any write; what it finds next leads to the same numbers."""
    mode = "Indexed" if indexed else "NonIndexed"
    one = job(completions=completions, parallelism=parallelism, completionMode=mode, backoffLimit=1000)
    pods, serial, truth, now = [], 0, {"Succeeded": 0, "Failed": 0}, NOW
    dice = random.Random(seed)
    while not is_finished(one):
        now += timedelta(minutes=11)
        plan = plan_job(copy.deepcopy(one), copy.deepcopy(pods), now)
        assert len([p for p in pods if p["status"]["phase"] == "Running"]) <= parallelism
        one["status"] = plan.status
        if dice.randrange(10) == 0:
            continue  # died after the status was written
        released = {p["metadata"]["uid"] for p in plan.release}
        for found in pods:
            if found["metadata"]["uid"] in released:
                found["metadata"]["finalizers"] = []
        if dice.randrange(10) == 1:
            continue  # died before it created any
        gone = {p["metadata"]["uid"] for p in plan.delete}
        pods = [p for p in pods if p["metadata"]["uid"] not in gone]
        for wanted in plan.create:
            pods.append(pod(f"p{serial:03}", index=wanted.index))
            serial += 1
        pods = [p for p in pods if p["metadata"]["finalizers"] or dice.randrange(10) > 2]
        for at, found in enumerate(pods):
            if found["status"]["phase"] == "Running" and dice.randrange(10) > 3:
                phase = "Failed" if dice.randrange(10) > 7 else "Succeeded"
                truth[phase] += 1
                index = found["metadata"]["annotations"].get(ANNOTATION)
                pods[at] = pod(found["metadata"]["name"], phase, index=int(index) if index else None, ended=now)
    assert one["status"]["succeeded"] == truth["Succeeded"] == completions
    assert one["status"]["failed"] == truth["Failed"]
    assert one["status"].get("completedIndexes", "") == (format_indexes(range(completions)) if indexed else "")
