"""CronJobs."""

from datetime import datetime
from typing import Any

from windlass.apimachinery.field_errors import invalid, required
from windlass.apimachinery.names import max_length_message
from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE, since
from windlass.apis.apps.v1.workload import NONE
from windlass.apis.batch.v1.job_spec import JobTemplateSpec
from windlass.apis.batch.v1.job_validation import default_job_spec, validate_job_spec
from windlass.apis.batch.v1.schedule import Schedule, ScheduleError, time_zone
from windlass.apis.batch.v1.schema import BatchObject, BatchSchema
from windlass.apis.core.v1.pod_template import template_containers, template_images
from windlass.apis.core.v1.pod_validation import pod_spec_warnings
from windlass.apis.core.v1.references import ObjectReference
from windlass.errors import FieldError

MAX_NAME = 52
"""A Job's name is the CronJob's and a number, and has to fit into a label."""


class CronJobSpec(BatchSchema):
    """What is asked of a CronJob."""

    concurrency_policy = Str("What happens when the last Job still runs.", default="Allow",
                             enum=("Allow", "Forbid", "Replace"))  # fmt: skip
    failed_jobs_history_limit = Int("How many failed Jobs are kept.", default=1, minimum=0)
    job_template = Nested("Pattern of the Jobs.", JobTemplateSpec, required=True)
    schedule = Str("When: minute, hour, day of month, month, day of week.", required=True)
    starting_deadline_seconds = Int("How late a Job may still begin.", bits=64, minimum=0)
    successful_jobs_history_limit = Int("How many successful Jobs are kept.", default=3, minimum=0)
    suspend = Bool("Whether no Jobs begin.", default=False)
    time_zone = Str("Time zone of the schedule; UTC when there is none.")


class CronJobStatus(BatchSchema):
    """What is observed of a CronJob."""

    active = ListOf("Jobs that run.", ObjectReference, list_type="atomic")
    last_schedule_time = Time("When a Job was last due and begun.")
    last_successful_time = Time("When a Job last succeeded.")


class CronJob(BatchObject):
    """Begins Jobs by the clock."""

    spec = Nested("What is asked of the CronJob.", CronJobSpec)
    status = Nested("What is observed of the CronJob.", CronJobStatus)


def _spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def _template(obj: Obj) -> Obj:
    template: Obj = ((_spec(obj).get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    return template


def _last(obj: Obj, now: datetime) -> str:
    moment = (obj.get("status") or {}).get("lastScheduleTime")
    return since(moment, now) if moment else NONE


class CronJobStrategy(Strategy):
    """Behaviour of CronJobs."""

    has_generation = True
    columns = (
        Column("Schedule", lambda obj, _now: _spec(obj).get("schedule", ""), description="When."),
        Column("Timezone", lambda obj, _now: _spec(obj).get("timeZone") or NONE, description="In which time zone."),
        Column("Suspend", lambda obj, _now: bool(_spec(obj).get("suspend")), type="boolean",
               description="Whether no Jobs begin."),
        Column("Active", lambda obj, _now: len((obj.get("status") or {}).get("active") or ()), type="integer",
               description="Jobs that run."),
        Column("Last Schedule", _last, description="Time since a Job was last begun."),
        AGE,
        Column("Containers", lambda obj, now: template_containers(_template(obj), now), priority=1,
               description="Names of the containers."),
        Column("Images", lambda obj, now: template_images(_template(obj), now), priority=1,
               description="Images of the containers."),
    )  # fmt: skip

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no Jobs."""
        obj["status"] = {}

    def default(self, obj: Obj) -> None:
        """Fill the Jobs' defaults."""
        spec = (_spec(obj).get("jobTemplate") or {}).get("spec")
        if spec is not None:
            default_job_spec(spec)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check schedule, time zone, name and the Jobs' pattern."""
        spec, name = _spec(obj), obj["metadata"].get("name") or ""
        found: list[FieldError] = []
        if len(name) > MAX_NAME:
            found.append(invalid("metadata.name", name, max_length_message(MAX_NAME)))
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        if job.get("selector") is not None and not job.get("manualSelector"):
            found.append(
                invalid("spec.jobTemplate.spec.selector", job["selector"], "`selector` will be auto-generated")
            )
        return found + _validate_schedule(spec) + validate_job_spec(job, "spec.jobTemplate.spec")

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the Jobs' pods."""
        return pod_spec_warnings(_template(obj).get("spec") or {}, "spec.jobTemplate.spec.template.spec")


def _validate_schedule(spec: Obj) -> list[FieldError]:
    text: str = spec.get("schedule") or ""
    zone: Any = spec.get("timeZone")
    found: list[FieldError] = []
    if not text:
        return [required("spec.schedule")]
    if "TZ" in text:
        found.append(invalid("spec.schedule", text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
    else:
        try:
            Schedule(text)
        except ScheduleError as error:
            found.append(invalid("spec.schedule", text, str(error)))
    if zone is not None:
        try:
            time_zone(zone)
        except ScheduleError as error:
            found.append(invalid("spec.timeZone", zone, str(error)))
    return found


KINDS = (
    KindDefinition(
        group="batch",
        version="v1",
        kind="CronJob",
        plural="cronjobs",
        singular="cronjob",
        namespaced=True,
        schema=CronJob,
        strategy=CronJobStrategy(),
        short_names=("cj",),
        categories=("all",),
        subresources=("status",),
    ),
)
