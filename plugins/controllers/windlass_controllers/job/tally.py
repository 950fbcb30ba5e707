"""Counting pods exactly once, however often the controller dies in between. Pure.

A pod carries a finalizer until it has been counted. One that has ended is first written into the Job's
`uncountedTerminatedPods`; then its finalizer is taken off; when a pod listed there is seen without it, the number grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass_controllers.job.failures import FAIL_INDEX, FAIL_JOB, IGNORE, verdict
from windlass_controllers.job.indexes import failures_of, format_indexes, index_of, parse_indexes
from windlass_controllers.pods import is_active, is_ready, phase_of

Obj = dict[str, Any]
FINALIZER = "batch.kubernetes.io/job-tracking"


def is_tracked(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod still waits to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def has_failed(job: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Say whether a pod counts as failed: one that is deleted while it runs does, unless only real failures do."""
    if phase_of(pod) == "Failed":
        return True
    only_failed = job["spec"].get("podReplacementPolicy") == "Failed"
    return not only_failed and is_being_deleted(pod) and phase_of(pod) != "Succeeded"


@dataclass(slots=True)
class Tally:
    """What there is of a Job's pods, and what has been counted."""

    active: list[Obj] = field(default_factory=list)
    terminating: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    uncounted_succeeded: set[str] = field(default_factory=set)
    uncounted_failed: set[str] = field(default_factory=set)
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    release: list[Obj] = field(default_factory=list)
    """Pods whose finalizer may go, once the status is written."""
    job_failure: str = ""
    """Why podFailurePolicy ends the Job, if it does."""
    index_failures: dict[int, int] = field(default_factory=dict)
    """How often each index has failed, by its last pod."""
    last_failure: str = ""
    """When the newest failed pod ended, as on the wire."""

    @property
    def all_succeeded(self) -> int:
        """Successes, those about to be counted included."""
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def all_failed(self) -> int:
        """Failures, those about to be counted included."""
        return self.failed + len(self.uncounted_failed)

    def status_fields(self, *, indexed: bool, per_index: bool) -> Obj:
        """Return the counted part of the status."""
        made: Obj = {
            "active": len(self.active),
            "ready": self.ready,
            "terminating": self.terminating,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }
        uncounted = {
            name: sorted(uids)
            for name, uids in (("succeeded", self.uncounted_succeeded), ("failed", self.uncounted_failed))
            if uids
        }
        made["uncountedTerminatedPods"] = uncounted
        if indexed:
            made["completedIndexes"] = format_indexes(self.completed)
        if per_index:
            made["failedIndexes"] = format_indexes(self.failed_indexes)
        return made


def tally(job: Mapping[str, Any], pods: Sequence[Obj]) -> Tally:
    """Count a Job's pods on top of its status."""
    spec, status = job["spec"], job.get("status") or {}
    indexed = spec.get("completionMode") == "Indexed"
    completions = int(spec.get("completions") or 0)
    made = Tally(succeeded=int(status.get("succeeded") or 0), failed=int(status.get("failed") or 0))
    if indexed:
        made.completed = parse_indexes(status.get("completedIndexes"), completions)
        made.failed_indexes = parse_indexes(status.get("failedIndexes"), completions)
    _settle_listed(made, status.get("uncountedTerminatedPods") or {}, pods)
    for pod in pods:
        _take(made, job, pod, indexed=indexed)
    return made


def _settle_listed(made: Tally, listed: Mapping[str, Any], pods: Sequence[Obj]) -> None:
    """Count those that were listed and have lost their finalizer; the others stay listed."""
    waiting = {pod["metadata"]["uid"] for pod in pods if is_tracked(pod)}
    for uid in listed.get("succeeded") or ():
        if uid in waiting:
            made.uncounted_succeeded.add(uid)
        else:
            made.succeeded += 1
    for uid in listed.get("failed") or ():
        if uid in waiting:
            made.uncounted_failed.add(uid)
        else:
            made.failed += 1


def _take(made: Tally, job: Mapping[str, Any], pod: Obj, *, indexed: bool) -> None:
    if is_active(pod):
        made.active.append(pod)
        made.ready += is_ready(pod)
        return
    if is_being_deleted(pod) and phase_of(pod) not in {"Succeeded", "Failed"}:
        made.terminating += 1
    failed = has_failed(job, pod)
    if failed:
        _take_failure(made, job, pod, index_of(pod))
    if not is_tracked(pod):
        return
    if phase_of(pod) == "Succeeded":
        _take_success(made, job, pod, indexed=indexed)
        made.release.append(pod)
    elif failed:
        if verdict(job, pod).action != IGNORE:
            made.uncounted_failed.add(pod["metadata"]["uid"])
        made.release.append(pod)


def _take_success(made: Tally, job: Mapping[str, Any], pod: Obj, *, indexed: bool) -> None:
    """List a success to be counted. A second one of an index that is done, or of none, adds nothing."""
    uid, index = pod["metadata"]["uid"], index_of(pod)
    if not indexed:
        made.uncounted_succeeded.add(uid)
    elif index is not None and index < int(job["spec"].get("completions") or 0):
        if index not in made.completed or uid in made.uncounted_succeeded:
            made.uncounted_succeeded.add(uid)
        made.completed.add(index)


def _take_failure(made: Tally, job: Mapping[str, Any], pod: Obj, index: int | None) -> None:
    found = verdict(job, pod)
    made.last_failure = max(made.last_failure, _ended_at(pod))
    if found.action == FAIL_JOB:
        made.job_failure = made.job_failure or found.message
    limit = job["spec"].get("backoffLimitPerIndex")
    if index is None or limit is None:
        return
    count = failures_of(pod) + (found.action != IGNORE)
    made.index_failures[index] = max(count, made.index_failures.get(index, 0))
    if found.action == FAIL_INDEX or count > int(limit):
        made.failed_indexes.add(index)


def _ended_at(pod: Mapping[str, Any]) -> str:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    ends = [
        str(entry["state"]["terminated"].get("finishedAt") or "")
        for entry in status.get("containerStatuses") or ()
        if (entry.get("state") or {}).get("terminated")
    ]
    return max([*ends, str(metadata.get("deletionTimestamp") or "")], default="")
