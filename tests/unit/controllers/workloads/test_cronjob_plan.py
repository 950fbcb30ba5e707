"""Schedules, and which Job is due when."""

from datetime import UTC, datetime, timedelta

import pytest

from windlass.apis.batch.v1.cronjob import CronJobStrategy
from windlass.apis.batch.v1.schedule import Schedule, ScheduleError, time_zone
from windlass.clock import parse_rfc3339, rfc3339
from windlass_controllers.cronjob.plan import SCHEDULED, job_name, last_due, plan_cron
from windlass_controllers.ttlafterfinished.controller import seconds_left

NOW = datetime(2026, 3, 1, 12, 30, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 * * * *", "2026-03-01T12:45:00Z"),
        ("0 9 * * MON", "2026-03-02T09:00:00Z"),
        ("@hourly", "2026-03-01T13:00:00Z"),
        ("@every 1h30m", "2026-03-01T14:00:30Z"),
        ("0 0 29 2 ?", "2028-02-29T00:00:00Z"),
    ],
)
def test_next(text, expected):
    assert rfc3339(Schedule(text).next_after(NOW)) == expected


def test_time_zones_and_clock_changes():
    """A45: New York is five hours behind in winter, four in summer; the hour that the clocks skip is made up for."""
    daily = Schedule("30 2 * * *", "America/New_York")
    assert rfc3339(daily.next_after(parse_rfc3339("2026-03-01T00:00:00Z"))) == "2026-03-01T07:30:00Z"
    assert rfc3339(daily.next_after(parse_rfc3339("2026-06-01T00:00:00Z"))) == "2026-06-01T06:30:00Z"
    skipped = daily.next_after(parse_rfc3339("2026-03-08T05:00:00Z"))
    assert skipped.date().isoformat() == "2026-03-08"


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "*/0 * * * *", "@sometimes", "@every ", "٣ * * * *", "0 0 30 2 *"],
)
def test_no_schedules(text):
    """A45: what is none, and what never comes due."""
    with pytest.raises(ScheduleError):
        Schedule(text)


@pytest.mark.parametrize("name", ["Mars/Base", "../etc/passwd", "/etc/localtime", "local", ""])
def test_no_time_zones(name):
    with pytest.raises(ScheduleError):
        time_zone(name)


def cron(*, created=NOW - timedelta(hours=1), status=None, **spec):
    return {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "report", "namespace": "default", "uid": "c", "creationTimestamp": rfc3339(created)},
        "spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"x": 1}, "metadata": {"labels": {"a": "b"}}}, **spec},
        "status": status or {},
    }  # fmt: skip


def job(name, state="", *, started="2026-03-01T10:00:00Z"):
    conditions = [{"type": state, "status": "True"}] if state else []
    status = {"startTime": started, "conditions": conditions}
    if state == "Complete":
        status["completionTime"] = started
    metadata = {"name": name, "namespace": "default", "uid": name}
    metadata["ownerReferences"] = [{"kind": "CronJob", "name": "report", "uid": "c", "controller": True}]
    return {"metadata": metadata, "status": status}


def test_the_job_that_is_due():
    plan = plan_cron(cron(), [], NOW)
    due = parse_rfc3339("2026-03-01T12:00:00Z")
    assert plan.create["metadata"]["name"] == job_name(cron(), due)
    assert plan.create["metadata"]["annotations"] == {SCHEDULED: "2026-03-01T12:00:00Z"}
    assert plan.create["metadata"]["labels"] == {"a": "b"}
    assert plan.status["lastScheduleTime"] == "2026-03-01T12:00:00Z"
    assert plan.wake_seconds == 29.5 * 60


def test_nothing_before_its_time_and_nothing_twice():
    assert plan_cron(cron(created=NOW - timedelta(minutes=5)), [], NOW).create is None
    assert plan_cron(cron(status={"lastScheduleTime": "2026-03-01T12:00:00Z"}), [], NOW).create is None


def test_what_is_too_late_is_left_out():
    assert plan_cron(cron(startingDeadlineSeconds=60), [], NOW).create is None
    assert plan_cron(cron(startingDeadlineSeconds=3600), [], NOW).create is not None


@pytest.mark.parametrize(
    ("policy", "creates", "deletes", "told"),
    [("Allow", True, [], []), ("Forbid", False, [], ["JobAlreadyActive"]), ("Replace", True, ["old"], [])],
)
def test_concurrency(policy, creates, deletes, told):
    plan = plan_cron(cron(concurrencyPolicy=policy, status={"active": [{"name": "old", "uid": "old"}]}), [job("old")], NOW)
    assert (plan.create is not None) == creates
    assert [j["metadata"]["name"] for j in plan.delete] == deletes
    assert [reason for _, reason, _ in plan.events] == told
    assert ("lastScheduleTime" in plan.status) == creates


def run_for(minutes, **spec):
    """Let the minutes pass with Jobs that never end; return the last status, all Jobs made, and those that were deleted."""
    made, deleted, status = [], [], {"lastScheduleTime": rfc3339(NOW)}
    for minute in range(1, minutes + 1):
        alive = [j for j in made if j["metadata"]["uid"] not in {d["metadata"]["uid"] for d in deleted}]
        plan = plan_cron(cron(schedule="* * * * *", status=status, **spec), alive, NOW + timedelta(minutes=minute))
        deleted += plan.delete
        if plan.create is not None:
            created = plan.create
            created["metadata"]["uid"] = created["metadata"]["name"]
            made.append(created)
        status = plan.status
    return status, made, deleted


def test_a_suspended_one_makes_nothing_for_minutes():
    """C095."""
    assert run_for(5, suspend=True) == ({"lastScheduleTime": rfc3339(NOW), "active": []}, [], [])


def test_replace_keeps_one_and_allow_keeps_all():
    """C097, C098: with Jobs that outlast the minute."""
    _, made, deleted = run_for(4, concurrencyPolicy="Replace")
    assert (len(made), len(deleted)) == (4, 3)
    status, made, deleted = run_for(4)
    assert (len(made), deleted) == (4, [])
    assert len(status["active"]) == 3  # the fourth joins when it is seen


def test_a_job_made_by_hand_is_not_active():
    """`kubectl create job --from`: no concurrency policy looks at it, and an event names it, as in Kubernetes."""
    by_hand = job("by-hand")
    by_hand["metadata"]["annotations"] = {"cronjob.kubernetes.io/instantiate": "manual"}
    plan = plan_cron(cron(concurrencyPolicy="Forbid"), [by_hand], NOW)
    assert plan.create is not None
    assert plan.status["active"] == []
    assert [reason for _, reason, _ in plan.events] == ["UnexpectedJob"]
    assert plan_cron(cron(concurrencyPolicy="Replace"), [by_hand], NOW).delete == []


def test_a_job_that_was_begun_before_a_crash_is_active():
    """Its name is that of its moment, though the status does not list it yet."""
    due = parse_rfc3339("2026-03-01T12:00:00Z")
    begun = job(job_name(cron(), due))
    begun["metadata"]["annotations"] = {SCHEDULED: rfc3339(due)}
    plan = plan_cron(cron(), [begun], NOW)
    assert [a["name"] for a in plan.status["active"]] == [begun["metadata"]["name"]]
    assert (plan.create, plan.events) == (None, [])


def test_ends_and_losses_of_active_jobs_are_told():
    listed = {"lastScheduleTime": rfc3339(NOW), "active": [{"name": n, "uid": n} for n in ("ended", "lost")]}
    plan = plan_cron(cron(status=listed), [job("ended", "Complete")], NOW)
    assert [(reason, message) for _, reason, message in plan.events] == [
        ("MissingJob", "Active job went missing: lost"),
        ("SawCompletedJob", "Saw completed job: ended, condition: Complete"),
    ]
    assert plan.status["active"] == []


def test_suspended():
    plan = plan_cron(cron(suspend=True), [], NOW)
    assert (plan.create, plan.wake_seconds) == (None, None)


def test_history_is_kept_to_its_limits():
    done = [job(f"d{n}", "Complete", started=f"2026-03-01T0{n}:00:00Z") for n in range(5)]
    broken = [job(f"f{n}", "Failed", started=f"2026-03-01T0{n}:00:00Z") for n in range(3)]
    plan = plan_cron(cron(suspend=True, failedJobsHistoryLimit=0), [*done, *broken], NOW)
    assert [j["metadata"]["name"] for j in plan.delete] == ["d0", "d1", "f0", "f1", "f2"]
    assert plan.status["lastSuccessfulTime"] == "2026-03-01T04:00:00Z"


def test_a_long_time_away_makes_one_job_and_says_so():
    plan = plan_cron(cron(schedule="* * * * *", created=NOW - timedelta(days=30)), [], NOW)
    assert plan.status["lastScheduleTime"] == "2026-03-01T12:30:00Z"
    assert [reason for _, reason, _ in plan.events] == ["TooManyMissedTimes"]


def test_last_due_counts():
    assert last_due(Schedule("*/10 * * * *"), NOW - timedelta(minutes=31), NOW)[1] == 4


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"schedule": "TZ=UTC * * * * *"}, "spec.schedule"),
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"schedule": "* * * * *", "timeZone": "Mars/Base"}, "spec.timeZone"),
    ],
)
def test_what_is_refused(spec, field):
    found = CronJobStrategy().validate({"metadata": {"name": "a"}, "spec": spec})
    assert field in {error.field for error in found}


def test_time_to_live():
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(seconds=40))}
    made = {"metadata": {"name": "a"}, "spec": {"ttlSecondsAfterFinished": 100}, "status": {"conditions": [ended]}}
    assert seconds_left(made, NOW) == 60
    assert seconds_left({**made, "status": {}}, NOW) is None
    assert seconds_left({**made, "spec": {}}, NOW) is None
