"""What a Job needs now: pods to create and delete, and how it stands. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import is_condition_true, remove_condition, set_condition
from windlass.clock import parse_rfc3339, rfc3339
from windlass_controllers.job.indexes import index_of, parse_indexes
from windlass_controllers.job.tally import Tally, tally
from windlass_controllers.replicaset.plan import rank_for_deletion, restarts

Obj = dict[str, Any]
BURST = 500
FIRST_DELAY_SECONDS = 10.0
MAX_DELAY_SECONDS = 600.0
FAILURE_TARGET = "FailureTarget"
SUCCESS_TARGET = "SuccessCriteriaMet"


@dataclass(frozen=True, slots=True)
class PodWanted:
    """A pod to create. `index` None in a Job without indexes; `failures` is how often the index has failed."""

    index: int | None = None
    failures: int = 0


@dataclass(slots=True)
class JobPlan:
    """What to do. `status` is written first when it lists newly ended pods; then `release` lose their finalizers."""

    status: Obj
    create: list[PodWanted] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    release: list[Obj] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_seconds: float | None = None


def is_finished(job: Mapping[str, Any]) -> bool:
    """Say whether a Job has come to its end."""
    conditions = (job.get("status") or {}).get("conditions")
    return is_condition_true(conditions, "Complete") or is_condition_true(conditions, "Failed")


def plan_job(job: Mapping[str, Any], pods: Sequence[Obj], now: datetime) -> JobPlan:
    """Return what to do for a Job with the pods that it owns."""
    counted = tally(job, pods)
    spec, before = job["spec"], job.get("status") or {}
    conditions = list(before.get("conditions") or ())
    plan = JobPlan(status={}, release=counted.release)
    if is_finished(job):
        plan.delete = list(counted.active)
        plan.status = {**before, **_counts(spec, counted)}
        return plan
    started = before.get("startTime")
    if started is None and not spec.get("suspend"):
        started = rfc3339(now)
    ending = _ending(spec, conditions, counted, started, now)
    if ending is not None:
        conditions = _mark(conditions, ending, now)
        plan.delete = list(counted.active)
        _finish(plan, conditions, ending, counted, now)
    elif spec.get("suspend"):
        conditions = _suspend(plan, conditions, counted, now)
        started = None
    else:
        conditions = _resume(plan, conditions, now)
        if not before.get("startTime") and is_condition_true(before.get("conditions"), "Suspended"):
            started = rfc3339(now)
        _manage(plan, spec, counted, now)
        _watch_deadline(plan, spec, started, now)
    conditions = plan.status.pop("conditions", conditions)
    kept = {key: before[key] for key in ("completionTime",) if key in before}
    plan.status = {**kept, **plan.status, **_counts(spec, counted), "conditions": conditions}
    if started is not None:
        plan.status["startTime"] = started
    return plan


def _counts(spec: Mapping[str, Any], counted: Tally) -> Obj:
    return counted.status_fields(
        indexed=spec.get("completionMode") == "Indexed", per_index=spec.get("backoffLimitPerIndex") is not None
    )


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a Job is to end: `failed` or not, and the reason that users read."""

    failed: bool
    reason: str
    message: str


def _ending(
    spec: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]], counted: Tally, started: str | None, now: datetime
) -> _Ending | None:
    """Say whether the Job is at its end; one that was on its way there stays on it."""
    for kind, failed in ((FAILURE_TARGET, True), (SUCCESS_TARGET, False)):
        found = next((c for c in conditions if c["type"] == kind and c.get("status") == "True"), None)
        if found is not None:
            return _Ending(failed, str(found.get("reason") or ""), str(found.get("message") or ""))
    if counted.job_failure:
        return _Ending(failed=True, reason="PodFailurePolicy", message=counted.job_failure)
    limit = int(spec.get("backoffLimit") or 0)
    if counted.all_failed > limit or _restarted_too_often(spec, counted, limit):
        return _Ending(
            failed=True, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
        )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and started and (now - parse_rfc3339(started)).total_seconds() >= int(deadline):
        message = "Job was active longer than specified deadline"
        return _Ending(failed=True, reason="DeadlineExceeded", message=message)
    if spec.get("completionMode") == "Indexed":
        return _indexed_ending(spec, counted)
    return _plain_ending(spec, counted)


def _restarted_too_often(spec: Mapping[str, Any], counted: Tally, limit: int) -> bool:
    if (spec["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    count = sum(restarts(pod) for pod in counted.active)
    return count > 0 if limit == 0 else count >= limit


def _plain_ending(spec: Mapping[str, Any], counted: Tally) -> _Ending | None:
    completions = spec.get("completions")
    one_is_enough = completions is None and counted.all_succeeded > 0 and not counted.active
    done = one_is_enough or (completions is not None and counted.all_succeeded >= int(completions))
    message = "Reached expected number of succeeded pods"
    return _Ending(failed=False, reason="CompletionsReached", message=message) if done else None


def _indexed_ending(spec: Mapping[str, Any], counted: Tally) -> _Ending | None:
    completions = int(spec.get("completions") or 0)
    most = spec.get("maxFailedIndexes")
    if most is not None and len(counted.failed_indexes) > int(most):
        message = "Job has exceeded the specified maximal number of failed indexes"
        return _Ending(failed=True, reason="MaxFailedIndexesExceeded", message=message)
    if len(counted.completed) >= completions:
        message = "Reached expected number of succeeded pods"
        return _Ending(failed=False, reason="CompletionsReached", message=message)
    for index, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or ()):
        wanted = rule.get("succeededIndexes")
        of = parse_indexes(wanted, completions) if wanted else set(range(completions))
        need = rule.get("succeededCount")
        if len(of & counted.completed) >= (len(of) if need is None else int(need)):
            return _Ending(failed=False, reason="SuccessPolicy", message=f"Matched rules at index {index}")
    if len(counted.completed | counted.failed_indexes) >= completions and not counted.active:
        return _Ending(failed=True, reason="FailedIndexes", message="Job has failed indexes")
    return None


def _mark(conditions: list[Obj], ending: _Ending, now: datetime) -> list[Obj]:
    kind = FAILURE_TARGET if ending.failed else SUCCESS_TARGET
    return _set(conditions, kind, ending, now)


def _set(conditions: list[Obj], kind: str, ending: _Ending, now: datetime) -> list[Obj]:
    stamp = rfc3339(now)
    condition = {"type": kind, "status": "True", "reason": ending.reason, "message": ending.message}
    return [{"lastProbeTime": stamp, **c} for c in set_condition(conditions, condition, stamp)]


def _finish(plan: JobPlan, conditions: list[Obj], ending: _Ending, counted: Tally, now: datetime) -> None:
    """Say that the Job has ended, once nothing of it runs and everything is counted."""
    open_ones = counted.active or counted.terminating or counted.uncounted_succeeded or counted.uncounted_failed
    if not open_ones:
        conditions = _set(conditions, "Failed" if ending.failed else "Complete", ending, now)
        if ending.failed:
            plan.events.append(("Warning", ending.reason, ending.message))
        else:
            plan.status["completionTime"] = rfc3339(now)
            plan.events.append(("Normal", "Completed", "Job completed"))
    plan.status["conditions"] = conditions


def _suspend(plan: JobPlan, conditions: list[Obj], counted: Tally, now: datetime) -> list[Obj]:
    plan.delete = list(counted.active)
    if is_condition_true(conditions, "Suspended"):
        return conditions
    plan.events.append(("Normal", "Suspended", "Job suspended"))
    return _set(conditions, "Suspended", _Ending(failed=False, reason="JobSuspended", message="Job suspended"), now)


def _resume(plan: JobPlan, conditions: list[Obj], now: datetime) -> list[Obj]:
    if not is_condition_true(conditions, "Suspended"):
        return conditions
    plan.events.append(("Normal", "Resumed", "Job resumed"))
    condition = {"type": "Suspended", "status": "False", "reason": "JobResumed", "message": "Job resumed"}
    kept = remove_condition(conditions, "Suspended")
    stamp = rfc3339(now)
    return [*kept, {**condition, "lastProbeTime": stamp, "lastTransitionTime": stamp}]


def _watch_deadline(plan: JobPlan, spec: Mapping[str, Any], started: str | None, now: datetime) -> None:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is None or started is None:
        return
    left = int(deadline) - (now - parse_rfc3339(started)).total_seconds()
    plan.again_seconds = left if plan.again_seconds is None else min(plan.again_seconds, left)


def backoff_seconds(failures: int, last_failure: str, now: datetime) -> float:
    """Return how long to wait before a failed pod is replaced: 10 s after the first failure, doubling to 10 min."""
    if failures <= 0 or not last_failure:
        return 0.0
    delay: float = min(FIRST_DELAY_SECONDS * 2 ** min(failures - 1, 10), MAX_DELAY_SECONDS)
    return max(0.0, delay - (now - parse_rfc3339(last_failure)).total_seconds())


def _manage(plan: JobPlan, spec: Mapping[str, Any], counted: Tally, now: datetime) -> None:
    """Create what is missing, delete what is too much."""
    parallelism = int(spec.get("parallelism") or 0)
    if spec.get("completionMode") == "Indexed":
        wanted = _missing_indexes(plan, spec, counted, parallelism, now)
    else:
        wanted = _wanted_plain(plan, spec, counted, parallelism, now)
    occupied = len(counted.active) + (counted.terminating if spec.get("podReplacementPolicy") == "Failed" else 0)
    room = max(0, parallelism - occupied)
    plan.create = wanted[: min(room, BURST)]


def _wanted_plain(
    plan: JobPlan, spec: Mapping[str, Any], counted: Tally, parallelism: int, now: datetime
) -> list[PodWanted]:
    completions = spec.get("completions")
    if completions is None:
        target = len(counted.active) if counted.all_succeeded else parallelism
    else:
        target = min(parallelism, int(completions) - counted.all_succeeded)
    surplus = len(counted.active) - min(target, parallelism)
    if surplus > 0:
        plan.delete = rank_for_deletion(counted.active, now)[:surplus]
    missing = max(0, target - len(counted.active))
    wait = backoff_seconds(counted.all_failed, counted.last_failure, now) if missing else 0.0
    if wait > 0:
        plan.again_seconds = wait
        return []
    return [PodWanted()] * missing


def _missing_indexes(
    plan: JobPlan, spec: Mapping[str, Any], counted: Tally, parallelism: int, now: datetime
) -> list[PodWanted]:
    completions = int(spec.get("completions") or 0)
    held: dict[int, Obj] = {}
    surplus: list[Obj] = []
    for pod in sorted(counted.active, key=lambda p: str(p["metadata"].get("creationTimestamp"))):
        index = index_of(pod)
        done = index is None or index >= completions or index in counted.completed or index in counted.failed_indexes
        if done or index in held or len(held) >= parallelism:
            surplus.append(pod)
        elif index is not None:
            held[index] = pod
    plan.delete = surplus
    closed = counted.completed | counted.failed_indexes | held.keys()
    missing = [index for index in range(completions) if index not in closed]
    per_index = spec.get("backoffLimitPerIndex") is not None
    if not per_index:
        wait = backoff_seconds(counted.all_failed, counted.last_failure, now) if missing else 0.0
        if wait > 0:
            plan.again_seconds = wait
            return []
        return [PodWanted(index) for index in missing]
    ready: list[PodWanted] = []
    for index in missing:
        failures = counted.index_failures.get(index, 0)
        wait = backoff_seconds(failures, counted.last_failure, now)
        if wait > 0:
            plan.again_seconds = wait if plan.again_seconds is None else min(plan.again_seconds, wait)
        else:
            ready.append(PodWanted(index, failures))
    return ready
