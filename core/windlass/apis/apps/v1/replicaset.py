"""ReplicaSets."""

from windlass.apimachinery.schema import Int, ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, ScalePaths, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.workload import (
    TEMPLATE_COLUMNS,
    AppsObject,
    AppsSchema,
    default_template,
    status_count,
    validate_selector_update,
    validate_workload,
    workload_warnings,
)
from windlass.apis.core.v1.pod_template import PodTemplateSpec
from windlass.apis.meta.v1 import LabelSelector
from windlass.errors import FieldError


class ReplicaSetSpec(AppsSchema):
    """What is asked of a ReplicaSet."""

    min_ready_seconds = Int("How long a new pod must be ready before it counts as available.", minimum=0)
    replicas = Int("How many pods are wanted.", default=1, minimum=0)
    selector = Nested("Labels of the pods; may not change.", LabelSelector, required=True)
    template = Nested("Pattern of the pods.", PodTemplateSpec)


class ReplicaSetCondition(AppsSchema):
    """One observed aspect of a ReplicaSet."""

    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class ReplicaSetStatus(AppsSchema):
    """What is observed of a ReplicaSet."""

    available_replicas = Int("Pods that have been ready long enough.")
    conditions = ListOf(
        "Observed aspects.",
        ReplicaSetCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    fully_labeled_replicas = Int("Pods that carry all the template's labels.")
    observed_generation = Int("Generation that the controller has acted on.", bits=64)
    ready_replicas = Int("Pods that are ready.")
    replicas = Int("Pods that there are.", required=True)


class ReplicaSet(AppsObject):
    """Keeps a number of equal pods running."""

    spec = Nested("What is asked of the ReplicaSet.", ReplicaSetSpec)
    status = Nested("What is observed of the ReplicaSet.", ReplicaSetStatus)


class ReplicaSetStrategy(Strategy):
    """Behaviour of ReplicaSets."""

    has_generation = True
    scale = ScalePaths()
    columns = (
        Column("Desired", lambda obj, _now: (obj.get("spec") or {}).get("replicas") or 0, type="integer",
               description="Pods that are wanted."),
        Column("Current", status_count("replicas"), type="integer", description="Pods that there are."),
        Column("Ready", status_count("readyReplicas"), type="integer", description="Pods that are ready."),
        AGE,
        *TEMPLATE_COLUMNS,
    )  # fmt: skip

    def default(self, obj: Obj) -> None:
        """Fill the template."""
        default_template(obj)

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no pods."""
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check that selector and template fit."""
        return validate_workload(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the selector."""
        return validate_selector_update(new, old)

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template, unless a Deployment has already given them."""
        return [] if obj["metadata"].get("ownerReferences") else workload_warnings(obj)

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by number of pods."""
        return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}


KINDS = (
    KindDefinition(
        group="apps",
        version="v1",
        kind="ReplicaSet",
        plural="replicasets",
        singular="replicaset",
        namespaced=True,
        schema=ReplicaSet,
        strategy=ReplicaSetStrategy(),
        short_names=("rs",),
        categories=("all",),
        subresources=("status", "scale"),
    ),
)
