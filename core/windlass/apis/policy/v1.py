"""policy/v1: how many pods may be missing on purpose, and the request by which one is asked to go."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.field_errors import invalid
from windlass.apimachinery.meta import set_condition
from windlass.apimachinery.schema import Int, IntOrString, ListOf, MapOf, Nested, ObjectSchema, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.selectors import from_label_selector
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.deployment import validate_bound
from windlass.apis.meta.v1 import ApiObject, Condition, DeleteOptions, LabelSelector
from windlass.errors import FieldError

PREFIX = "io.k8s.api.policy.v1"
ALWAYS_ALLOW = "AlwaysAllow"
IF_HEALTHY_BUDGET = "IfHealthyBudget"
DISRUPTION_ALLOWED = "DisruptionAllowed"
SYNC_FAILED = "SyncFailed"
COUNTS = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")


class Eviction(ApiObject):
    """Asks that the pod it names be deleted, if no disruption budget forbids it."""

    openapi_prefix = PREFIX

    delete_options = Nested("How the pod is to be deleted.", DeleteOptions)


class PodDisruptionBudgetSpec(ObjectSchema):
    """Which pods, and how many of them must stay."""

    openapi_prefix = PREFIX

    max_unavailable = IntOrString("How many pods, or what percentage, may be missing after an eviction.")
    min_available = IntOrString("How many pods, or what percentage, must be there after an eviction.")
    selector = Nested("Labels of the pods; {} selects all in the namespace, none at all nothing.", LabelSelector,
                      patch_strategy="replace")  # fmt: skip
    unhealthy_pod_eviction_policy = Str("When a running pod that is not ready may be evicted.",
                                        enum=(ALWAYS_ALLOW, IF_HEALTHY_BUDGET))  # fmt: skip


class PodDisruptionBudgetStatus(ObjectSchema):
    """What is observed of the pods. It may lag behind a little."""

    openapi_prefix = PREFIX

    conditions = ListOf(
        "Observed aspects: DisruptionAllowed.",
        Condition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    current_healthy = Int("Pods that are ready and stay.", required=True, default=0)
    desired_healthy = Int("Pods that must be healthy.", required=True, default=0)
    disrupted_pods = MapOf("Pods whose eviction was granted and that have not gone yet: name and when.",
                           Time("When it was granted."))  # fmt: skip
    disruptions_allowed = Int("Pods that may be evicted now.", required=True, default=0)
    expected_pods = Int("Pods that the budget counts with.", required=True, default=0)
    observed_generation = Int("Generation that the controller has acted on.", bits=64)


class PodDisruptionBudget(ApiObject):
    """Limits how many pods of a set are evicted at the same time."""

    openapi_prefix = PREFIX

    spec = Nested("Which pods, and how many must stay.", PodDisruptionBudgetSpec)
    status = Nested("What is observed of the pods.", PodDisruptionBudgetStatus)


def covers(budget: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Say whether a budget is about a pod."""
    metadata, selector = pod["metadata"], (budget.get("spec") or {}).get("selector")
    same = budget["metadata"].get("namespace") == metadata.get("namespace")
    return same and from_label_selector(selector).matches(metadata.get("labels") or {})


def disruption_condition(status: Mapping[str, Any], generation: int, now: str) -> list[Obj]:
    """Return the conditions of a status whose `disruptionsAllowed` was just counted."""
    allowed = int(status.get("disruptionsAllowed") or 0) > 0
    told = {
        "type": DISRUPTION_ALLOWED,
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": generation,
    }
    return set_condition(status.get("conditions"), told, now)


def _bound(name: str) -> Any:
    def value(obj: Obj, _now: datetime) -> str:
        found = (obj.get("spec") or {}).get(name)
        return "N/A" if found is None else str(found)

    return value


class PodDisruptionBudgetStrategy(Strategy):
    """Behaviour of PodDisruptionBudgets."""

    has_generation = True
    columns = (
        Column("Min Available", _bound("minAvailable"), description="Pods that must be there."),
        Column("Max Unavailable", _bound("maxUnavailable"), description="Pods that may be missing."),
        Column("Allowed Disruptions", lambda obj, _now: (obj.get("status") or {}).get("disruptionsAllowed") or 0,
               type="integer", description="Pods that may be evicted now."),
        AGE,
    )  # fmt: skip

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin by allowing nothing: nobody has counted yet."""
        obj["status"] = dict.fromkeys(COUNTS, 0)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the two bounds and the counts."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        found: list[FieldError] = []
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            found.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
        for name in ("minAvailable", "maxUnavailable"):
            if spec.get(name) is not None:
                found += validate_bound(spec[name], f"spec.{name}") or _at_most_all(spec[name], f"spec.{name}")
        negative = [name for name in COUNTS if int(status.get(name) or 0) < 0]
        return found + [
            invalid(f"status.{name}", status[name], "must be greater than or equal to 0") for name in negative
        ]


def _at_most_all(value: Any, path: str) -> list[FieldError]:
    too_much = isinstance(value, str) and re.fullmatch("[0-9]+%", value) and int(value[:-1]) > 100
    return [invalid(path, value, "must not be greater than 100%")] if too_much else []


KINDS: tuple[KindDefinition, ...] = (
    KindDefinition(
        group="policy",
        version="v1",
        kind="PodDisruptionBudget",
        plural="poddisruptionbudgets",
        singular="poddisruptionbudget",
        namespaced=True,
        schema=PodDisruptionBudget,
        strategy=PodDisruptionBudgetStrategy(),
        short_names=("pdb",),
        subresources=("status",),
    ),
)
"""Evictions are not stored: they are posted to `pods/NAME/eviction`."""
