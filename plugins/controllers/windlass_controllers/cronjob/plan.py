"""Which Job is due, which runs give way, which old ones go. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from windlass.apimachinery.meta import get_controller_of, is_being_deleted, is_condition_true, new_controller_ref
from windlass.apis.batch.v1.schedule import Schedule
from windlass.clock import parse_rfc3339, rfc3339

Obj = dict[str, Any]
MAX_MISSED = 100
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(slots=True)
class CronPlan:
    """What to do. `create` is the Job that is due; `wake_seconds` until the next one may be."""

    status: Obj
    create: Obj | None = None
    delete: list[Obj] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    wake_seconds: float | None = None


def is_finished(job: Mapping[str, Any]) -> bool:
    """Say whether a Job has ended."""
    return finished_as(job) != ""


def finished_as(job: Mapping[str, Any]) -> str:
    """Return Complete or Failed, '' while the Job goes on."""
    conditions = (job.get("status") or {}).get("conditions")
    return next((kind for kind in ("Complete", "Failed") if is_condition_true(conditions, kind)), "")


def job_name(cron_job: Mapping[str, Any], due: datetime) -> str:
    """Name the Job of a moment: the same moment gives the same name, so that it is made once."""
    return f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}"


def is_scheduled(cron_job: Mapping[str, Any], job: Mapping[str, Any]) -> bool:
    """Say whether the clock began a Job, and not somebody by hand (`kubectl create job --from`)."""
    moment = (job["metadata"].get("annotations") or {}).get(SCHEDULED)
    try:
        return moment is not None and job["metadata"]["name"] == job_name(cron_job, parse_rfc3339(moment))
    except ValueError:
        return False


def new_job(cron_job: Mapping[str, Any], due: datetime) -> Obj:
    """Build the Job that is due."""
    template = cron_job["spec"].get("jobTemplate") or {}
    pattern = template.get("metadata") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cron_job, due),
            "namespace": cron_job["metadata"]["namespace"],
            "labels": dict(pattern.get("labels") or {}),
            "annotations": {**(pattern.get("annotations") or {}), SCHEDULED: rfc3339(due)},
            "ownerReferences": [new_controller_ref(cron_job)],
        },
        "spec": template.get("spec") or {},
    }


def last_due(schedule: Schedule, earliest: datetime, now: datetime) -> tuple[datetime | None, int]:
    """Return the newest moment in (earliest, now], and how many there were, at most a hundred and one."""
    found: datetime | None = None
    count, moment = 0, earliest
    while (moment := schedule.next_after(moment)) <= now:
        found, count = moment, count + 1
        if count > MAX_MISSED:
            # Too many to walk through one by one: look from near the end.
            return _newest(schedule, now) or found, count
    return found, count


def _newest(schedule: Schedule, now: datetime) -> datetime | None:
    for back in (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366)):
        found, moment = None, now - back
        while (moment := schedule.next_after(moment)) <= now:
            found = moment
        if found is not None:
            return found
    return None


def plan_cron(cron_job: Mapping[str, Any], jobs: Sequence[Obj], now: datetime) -> CronPlan:
    """Return what to do for a CronJob with the Jobs that it owns. Raises ScheduleError."""
    spec, status = cron_job["spec"], cron_job.get("status") or {}
    owned = [j for j in jobs if (get_controller_of(j) or {}).get("uid") == cron_job["metadata"]["uid"]]
    listed = {a.get("uid"): a.get("name") for a in status.get("active") or ()}
    running = [j for j in owned if not is_finished(j) and (j["metadata"]["uid"] in listed or is_scheduled(cron_job, j))]
    plan = CronPlan(status=_status(status, owned, running), events=_news(owned, running, listed))
    plan.delete = _expired(spec, owned)
    if spec.get("suspend") or is_being_deleted(cron_job):
        return plan
    schedule = Schedule(spec["schedule"], spec.get("timeZone") or "")
    last = status.get("lastScheduleTime") or cron_job["metadata"].get("creationTimestamp")
    earliest = parse_rfc3339(last) if last else now
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=int(deadline)))
    due, count = last_due(schedule, earliest, now)
    plan.wake_seconds = max(0.0, (schedule.next_after(now) - now).total_seconds())
    if count > MAX_MISSED:
        message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        plan.events.append(("Warning", "TooManyMissedTimes", message))
    if due is not None:
        _begin(plan, cron_job, running, due)
    return plan


def _begin(plan: CronPlan, cron_job: Mapping[str, Any], running: Sequence[Obj], due: datetime) -> None:
    policy = cron_job["spec"].get("concurrencyPolicy") or "Allow"
    name = job_name(cron_job, due)
    if any(j["metadata"]["name"] == name for j in running):
        plan.status["lastScheduleTime"] = rfc3339(due)
        return
    if policy == "Forbid" and running:
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        plan.events.append(("Normal", "JobAlreadyActive", message))
        return
    if policy == "Replace":
        plan.delete += [j for j in running if j not in plan.delete]
    plan.create = new_job(cron_job, due)
    plan.status["lastScheduleTime"] = rfc3339(due)


def _status(before: Mapping[str, Any], owned: Sequence[Obj], running: Sequence[Obj]) -> Obj:
    status: Obj = {key: before[key] for key in ("lastScheduleTime", "lastSuccessfulTime") if before.get(key)}
    status["active"] = [reference(j) for j in sorted(running, key=lambda j: j["metadata"]["name"])]
    ends = [j["status"].get("completionTime") or "" for j in owned if finished_as(j) == "Complete"]
    newest = max([*ends, status.get("lastSuccessfulTime", "")], default="")
    if newest:
        status["lastSuccessfulTime"] = newest
    return status


def _news(owned: Sequence[Obj], running: Sequence[Obj], listed: Mapping[Any, Any]) -> list[tuple[str, str, str]]:
    """Tell what became of the Jobs that were active, and which run without having been begun here.

    A Job begun by hand is no active one, as in Kubernetes: no concurrency policy looks at it.
    """
    uids, active = {j["metadata"]["uid"] for j in owned}, {j["metadata"]["uid"] for j in running}
    news = [("Normal", "MissingJob", f"Active job went missing: {name}") for uid, name in listed.items() if uid not in uids]
    for job in owned:
        name, ended, uid = job["metadata"]["name"], finished_as(job), job["metadata"]["uid"]
        if ended and uid in listed:
            news.append(("Normal", "SawCompletedJob", f"Saw completed job: {name}, condition: {ended}"))
        elif not ended and uid not in active:
            message = f"Saw a job that the controller did not create or forgot: {name}"
            news.append(("Warning", "UnexpectedJob", message))
    return news


def reference(job: Mapping[str, Any]) -> Obj:
    """Return what `status.active` says of a Job."""
    metadata = job["metadata"]
    return {
        "kind": "Job",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": metadata.get("resourceVersion", ""),
    }


def _expired(spec: Mapping[str, Any], owned: Sequence[Obj]) -> list[Obj]:
    """Return the ended Jobs beyond the limits, the oldest first."""
    found: list[Obj] = []
    for kind, key, default in (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)):
        limit = spec.get(key)
        ended = [j for j in owned if finished_as(j) == kind and not is_being_deleted(j)]
        ended.sort(key=lambda j: str((j.get("status") or {}).get("startTime") or ""))
        keep = default if limit is None else int(limit)
        found += ended[: max(0, len(ended) - keep)]
    return found
