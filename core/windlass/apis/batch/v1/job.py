"""Jobs."""

from datetime import datetime

from windlass.apimachinery.durations import human
from windlass.apimachinery.schema import Int, ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.workload import TEMPLATE_COLUMNS, workload_warnings
from windlass.apis.batch.v1.job_spec import JobSpec
from windlass.apis.batch.v1.job_validation import (
    default_job_spec,
    validate_job_spec,
    validate_job_update,
    validate_selector,
)
from windlass.apis.batch.v1.schema import BatchObject, BatchSchema
from windlass.clock import parse_rfc3339
from windlass.errors import FieldError

UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


class JobCondition(BatchSchema):
    """One observed aspect of a Job."""

    last_probe_time = Time("When the condition was last looked at.")
    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect: Complete, Failed, Suspended, ...", required=True)


class UncountedTerminatedPods(BatchSchema):
    """Pods that have ended and are about to be counted."""

    failed = ListOf("Failed ones.", Str("Uid of a pod."), list_type="set")
    succeeded = ListOf("Succeeded ones.", Str("Uid of a pod."), list_type="set")


class JobStatus(BatchSchema):
    """What is observed of a Job."""

    active = Int("Pods that run or may yet run.")
    completed_indexes = Str("Indexes that have succeeded, such as `1,3-5`.")
    completion_time = Time("When it succeeded.")
    conditions = ListOf("Observed aspects.", JobCondition, patch_strategy="merge", patch_merge_key="type",
                        list_type="atomic")  # fmt: skip
    failed = Int("Pods that have failed.")
    failed_indexes = Str("Indexes that have failed for good.")
    ready = Int("Pods that are ready.")
    start_time = Time("When it began.")
    succeeded = Int("Pods that have succeeded.")
    terminating = Int("Pods that are ending.")
    uncounted_terminated_pods = Nested("Pods that are about to be counted.", UncountedTerminatedPods)


class Job(BatchObject):
    """Runs pods until enough of them have succeeded."""

    spec = Nested("What is asked of the Job.", JobSpec)
    status = Nested("What is observed of the Job.", JobStatus)


def _completions(obj: Obj, _now: datetime) -> str:
    spec, succeeded = obj.get("spec") or {}, (obj.get("status") or {}).get("succeeded") or 0
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _status(obj: Obj, _now: datetime) -> str:
    true = {c["type"] for c in (obj.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next(
        (kind for kind in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet") if kind in true),
        "Running",
    )


def _duration(obj: Obj, now: datetime) -> str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    end = parse_rfc3339(status["completionTime"]) if status.get("completionTime") else now
    return human((end - parse_rfc3339(status["startTime"])).total_seconds())


class JobStrategy(Strategy):
    """Behaviour of Jobs."""

    has_generation = True
    columns = (
        Column("Status", _status, description="How it stands."),
        Column("Completions", _completions, description="Successes of those wanted."),
        Column("Duration", _duration, description="How long it has run."),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no pods, and select by labels that no other Job has."""
        obj["status"] = {}
        spec = obj.get("spec") or {}
        if not spec or spec.get("manualSelector"):
            return
        template = spec.setdefault("template", {})
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        uid = obj["metadata"]["uid"]
        labels |= dict.fromkeys(UID_LABELS, uid) | dict.fromkeys(NAME_LABELS, obj["metadata"].get("name", ""))
        selector = spec.setdefault("selector", {})
        selector.setdefault("matchLabels", {})[UID_LABELS[0]] = uid

    def default(self, obj: Obj) -> None:
        """Fill numbers, policies and the template."""
        spec = obj.get("spec")
        if spec is not None:
            default_job_spec(spec)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the whole spec."""
        spec = obj.get("spec") or {}
        return validate_job_spec(spec, "spec") + validate_selector(spec, "spec")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep what may not change."""
        return validate_job_update(new, old)

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template."""
        return workload_warnings(obj)

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by number of successes."""
        return {"status.successful": str((obj.get("status") or {}).get("succeeded") or 0)}


KINDS = (
    KindDefinition(
        group="batch",
        version="v1",
        kind="Job",
        plural="jobs",
        singular="job",
        namespaced=True,
        schema=Job,
        strategy=JobStrategy(),
        categories=("all",),
        subresources=("status",),
    ),
)
