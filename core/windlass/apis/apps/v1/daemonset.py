"""DaemonSets."""

from datetime import datetime

from windlass.apimachinery.field_errors import forbidden, invalid
from windlass.apimachinery.schema import Int, IntOrString, ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.deployment import is_zero, validate_bound
from windlass.apis.apps.v1.workload import (
    NONE,
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


class RollingUpdateDaemonSet(AppsSchema):
    """How far a rolling update may stray from one pod per node."""

    max_surge = IntOrString("On how many nodes, or what percentage, there may be two pods.")
    max_unavailable = IntOrString("On how many nodes, or what percentage, there may be none.")


class DaemonSetUpdateStrategy(AppsSchema):
    """How old pods are replaced by new ones."""

    rolling_update = Nested("Details of a rolling update.", RollingUpdateDaemonSet)
    type = Str("By the controller, or by whoever deletes the old ones.", default="RollingUpdate",
               enum=("RollingUpdate", "OnDelete"))  # fmt: skip


class DaemonSetSpec(AppsSchema):
    """What is asked of a DaemonSet."""

    min_ready_seconds = Int("How long a new pod must be ready before it counts as available.", minimum=0)
    revision_history_limit = Int("How many old snapshots are kept for going back.", default=10, minimum=0)
    selector = Nested("Labels of the pods; may not change.", LabelSelector, required=True)
    template = Nested("Pattern of the pods; its node selector and affinity say on which nodes.", PodTemplateSpec,
                      required=True)  # fmt: skip
    update_strategy = Nested("How old pods are replaced.", DaemonSetUpdateStrategy, default={"type": "RollingUpdate"})


class DaemonSetCondition(AppsSchema):
    """One observed aspect of a DaemonSet."""

    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class DaemonSetStatus(AppsSchema):
    """What is observed of a DaemonSet."""

    collision_count = Int("How often a name for a new snapshot was taken; goes into the next name.")
    conditions = ListOf(
        "Observed aspects.",
        DaemonSetCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    current_number_scheduled = Int("Nodes that should have a pod and have one.", required=True)
    desired_number_scheduled = Int("Nodes that should have a pod.", required=True)
    number_available = Int("Nodes whose pod has been ready long enough.")
    number_misscheduled = Int("Nodes that have a pod and should not.", required=True)
    number_ready = Int("Nodes whose pod is ready.", required=True)
    number_unavailable = Int("Nodes that still lack an available pod.")
    observed_generation = Int("Generation that the controller has acted on.", bits=64)
    updated_number_scheduled = Int("Nodes whose pod is of the newest template.")


class DaemonSet(AppsObject):
    """Keeps one pod on every node, or on some."""

    spec = Nested("What is asked of the DaemonSet.", DaemonSetSpec)
    status = Nested("What is observed of the DaemonSet.", DaemonSetStatus)


def _node_selector(obj: Obj, _now: datetime) -> str:
    spec = (((obj.get("spec") or {}).get("template") or {}).get("spec")) or {}
    return ",".join(f"{key}={value}" for key, value in sorted((spec.get("nodeSelector") or {}).items())) or NONE


class DaemonSetBehaviour(Strategy):
    """Behaviour of DaemonSets."""

    has_generation = True
    columns = (
        Column("Desired", status_count("desiredNumberScheduled"), type="integer", description="Pods that are wanted."),
        Column("Current", status_count("currentNumberScheduled"), type="integer", description="Pods that there are."),
        Column("Ready", status_count("numberReady"), type="integer", description="Pods that are ready."),
        Column("Up-to-date", status_count("updatedNumberScheduled"), type="integer",
               description="Pods of the newest template."),
        Column("Available", status_count("numberAvailable"), type="integer", description="Pods ready long enough."),
        Column("Node Selector", _node_selector, description="Labels of the nodes."),
        AGE,
        *TEMPLATE_COLUMNS,
    )  # fmt: skip

    def default(self, obj: Obj) -> None:
        """Fill a rolling update's bounds, and the template."""
        strategy = (obj.get("spec") or {}).get("updateStrategy")
        if strategy is not None and strategy.get("type", "RollingUpdate") == "RollingUpdate":
            bounds = strategy.setdefault("rollingUpdate", {})
            bounds.setdefault("maxUnavailable", 1)
            bounds.setdefault("maxSurge", 0)
        default_template(obj)

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no pods."""
        names = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        obj["status"] = dict.fromkeys(names, 0)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the update strategy, and that selector and template fit."""
        return validate_workload(obj) + _validate_strategy((obj.get("spec") or {}).get("updateStrategy") or {})

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the selector."""
        return validate_selector_update(new, old)

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template."""
        return workload_warnings(obj)


def _validate_strategy(strategy: Obj) -> list[FieldError]:
    path, bounds = "spec.updateStrategy.rollingUpdate", strategy.get("rollingUpdate")
    if strategy.get("type") == "OnDelete":
        detail = "may not be specified when update strategy `type` is 'OnDelete'"
        return [forbidden(path, detail)] if bounds is not None else []
    unavailable, surge = (bounds or {}).get("maxUnavailable", 1), (bounds or {}).get("maxSurge", 0)
    found = validate_bound(unavailable, f"{path}.maxUnavailable") + validate_bound(surge, f"{path}.maxSurge")
    if not found and is_zero(unavailable) and is_zero(surge):
        found.append(invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0 when maxSurge is 0"))
    if not found and not is_zero(unavailable) and not is_zero(surge):
        found.append(invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    return found


KINDS = (
    KindDefinition(
        group="apps",
        version="v1",
        kind="DaemonSet",
        plural="daemonsets",
        singular="daemonset",
        namespaced=True,
        schema=DaemonSet,
        strategy=DaemonSetBehaviour(),
        short_names=("ds",),
        categories=("all",),
        subresources=("status",),
    ),
)
