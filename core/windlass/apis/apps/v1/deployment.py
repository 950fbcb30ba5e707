"""Deployments."""

import re
from datetime import datetime
from typing import Any

from windlass.apimachinery.field_errors import forbidden, invalid
from windlass.apimachinery.schema import Bool, Int, IntOrString, ListOf, Nested, Str, Time
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

PERCENT = re.compile(r"[0-9]+%")


class RollingUpdateDeployment(AppsSchema):
    """How far a rolling update may stray from the wanted number."""

    max_surge = IntOrString("How many pods, or what percentage, there may be too many.")
    max_unavailable = IntOrString("How many pods, or what percentage, may be missing.")


class DeploymentStrategy(AppsSchema):
    """How old pods are replaced by new ones."""

    rolling_update = Nested("Details of a rolling update.", RollingUpdateDeployment)
    type = Str("Gradually, or all old ones first.", default="RollingUpdate", enum=("Recreate", "RollingUpdate"))


class DeploymentSpec(AppsSchema):
    """What is asked of a Deployment."""

    min_ready_seconds = Int("How long a new pod must be ready before it counts as available.", minimum=0)
    paused = Bool("Whether changes of the template wait.")
    progress_deadline_seconds = Int("How long a rollout may make no progress before it counts as failed.", default=600)
    replicas = Int("How many pods are wanted.", default=1, minimum=0)
    revision_history_limit = Int("How many old ReplicaSets are kept for going back.", default=10, minimum=0)
    selector = Nested("Labels of the pods; may not change.", LabelSelector, required=True)
    strategy = Nested("How old pods are replaced.", DeploymentStrategy, default={"type": "RollingUpdate"},
                      patch_strategy="retainKeys")  # fmt: skip
    template = Nested("Pattern of the pods.", PodTemplateSpec, required=True)


class DeploymentCondition(AppsSchema):
    """One observed aspect of a Deployment."""

    last_transition_time = Time("When the status last changed.")
    last_update_time = Time("When the condition was last written.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect: Available, Progressing or ReplicaFailure.", required=True)


class DeploymentStatus(AppsSchema):
    """What is observed of a Deployment."""

    available_replicas = Int("Pods that have been ready long enough.")
    collision_count = Int("How often a name for a new ReplicaSet was taken; goes into the next name.")
    conditions = ListOf(
        "Observed aspects.",
        DeploymentCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    observed_generation = Int("Generation that the controller has acted on.", bits=64)
    ready_replicas = Int("Pods that are ready.")
    replicas = Int("Pods that there are.")
    unavailable_replicas = Int("Pods that are still missing.")
    updated_replicas = Int("Pods of the newest template.")


class Deployment(AppsObject):
    """Keeps a number of equal pods running, and replaces them when their template changes."""

    spec = Nested("What is asked of the Deployment.", DeploymentSpec)
    status = Nested("What is observed of the Deployment.", DeploymentStatus)


def _ready(obj: Obj, _now: datetime) -> str:
    return f"{(obj.get('status') or {}).get('readyReplicas') or 0}/{(obj.get('spec') or {}).get('replicas') or 0}"


class DeploymentBehaviour(Strategy):
    """Behaviour of Deployments."""

    has_generation = True
    scale = ScalePaths()
    columns = (
        Column("Ready", _ready, description="Ready pods of those wanted."),
        Column("Up-to-date", status_count("updatedReplicas"), description="Pods of the newest template."),
        Column("Available", status_count("availableReplicas"), description="Pods ready long enough."),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    def default(self, obj: Obj) -> None:
        """Fill a rolling update's bounds, and the template."""
        strategy = (obj.get("spec") or {}).get("strategy")
        if strategy is not None and strategy.get("type", "RollingUpdate") == "RollingUpdate":
            bounds = strategy.setdefault("rollingUpdate", {})
            bounds.setdefault("maxUnavailable", "25%")
            bounds.setdefault("maxSurge", "25%")
        default_template(obj)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the update strategy, the deadlines, and that selector and template fit."""
        spec = obj.get("spec") or {}
        found = _validate_strategy(spec.get("strategy") or {})
        deadline, minimum = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
        if deadline is not None and deadline <= minimum:
            found.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
        return validate_workload(obj) + found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the selector."""
        return validate_selector_update(new, old)

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template."""
        return workload_warnings(obj)


def _validate_strategy(strategy: Obj) -> list[FieldError]:
    path, bounds = "spec.strategy.rollingUpdate", strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate":
        detail = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(path, detail)] if bounds is not None else []
    found = []
    for name in ("maxUnavailable", "maxSurge"):
        found += validate_bound((bounds or {}).get(name, 0), f"{path}.{name}")
    unavailable = (bounds or {}).get("maxUnavailable", 0)
    if isinstance(unavailable, str) and PERCENT.fullmatch(unavailable) and int(unavailable[:-1]) > 100:
        found.append(invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%"))
    if not found and is_zero(unavailable) and is_zero((bounds or {}).get("maxSurge", 0)):
        found.append(invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return found


def validate_bound(value: Any, path: str) -> list[FieldError]:
    """Check a number of pods, or a percentage of them."""
    if isinstance(value, str):
        detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"  # noqa: E501 - Kubernetes' words
        return [] if PERCENT.fullmatch(value) else [invalid(path, value, detail)]
    return [invalid(path, value, "must be greater than or equal to 0")] if value < 0 else []


def is_zero(value: Any) -> bool:
    """Say whether a number of pods, or a percentage, is none."""
    return value == 0 or (isinstance(value, str) and int(value.rstrip("%")) == 0)


KINDS = (
    KindDefinition(
        group="apps",
        version="v1",
        kind="Deployment",
        plural="deployments",
        singular="deployment",
        namespaced=True,
        schema=Deployment,
        strategy=DeploymentBehaviour(),
        short_names=("deploy",),
        categories=("all",),
        subresources=("status", "scale"),
    ),
)
