"""How many pods of a budget are expected, healthy, and may be missed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from windlass.apimachinery.meta import get_controller_of, is_being_deleted, set_condition
from windlass.apis.policy.v1 import DISRUPTION_ALLOWED, SYNC_FAILED, disruption_condition
from windlass.clock import parse_rfc3339, rfc3339
from windlass_controllers.pods import is_ready

Obj = dict[str, Any]
DELETION_SECONDS = 120.0
"""How long after its eviction was granted a pod counts as gone although it is not."""


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """The new status. `again_seconds`: when a granted eviction runs out. `not_deleted`: pods whose eviction has run out."""

    status: Obj
    again_seconds: float | None
    not_deleted: Sequence[Obj]


def needs_scale(budget: Mapping[str, Any]) -> bool:
    """Say whether it matters how many pods their controllers want, and not only how many there are."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def unmanaged(pods: Sequence[Obj]) -> list[Obj]:
    """Return the pods that no controller has."""
    return [pod for pod in pods if get_controller_of(pod) is None]


def plan_budget(budget: Mapping[str, Any], pods: Sequence[Obj], scale: int, now: datetime) -> BudgetPlan:
    """Count the pods of a budget. `scale`: how many their controllers want together, where `needs_scale`."""
    before = budget.get("status") or {}
    expected, desired = _expected_and_desired(budget["spec"], len(pods), scale)
    disrupted, again, late = _disrupted(before.get("disruptedPods") or {}, pods, now)
    healthy = sum(
        is_ready(pod) and not is_being_deleted(pod) and pod["metadata"]["name"] not in disrupted for pod in pods
    )
    status: Obj = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": max(0, healthy - desired) if expected > 0 else 0,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"].get("generation") or 0,
        "conditions": before.get("conditions"),
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    status["conditions"] = disruption_condition(status, status["observedGeneration"], rfc3339(now))
    return BudgetPlan(status, again, late)


def _expected_and_desired(spec: Mapping[str, Any], count: int, scale: int) -> tuple[int, int]:
    unavailable, available = spec.get("maxUnavailable"), spec.get("minAvailable")
    if unavailable is not None:
        return scale, max(0, scale - share(unavailable, scale))
    if available is None:
        return 0, 0
    return (scale, share(available, scale)) if isinstance(available, str) else (count, int(available))


def share(value: Any, whole: int) -> int:
    """Return a number of pods, or a percentage of them rounded up."""
    return -(-int(value.removesuffix("%")) * whole // 100) if isinstance(value, str) else int(value)


def _disrupted(
    before: Mapping[str, str], pods: Sequence[Obj], now: datetime
) -> tuple[dict[str, str], float | None, list[Obj]]:
    """Return the granted evictions that still hold, in how many seconds the first runs out, and whose has run out."""
    kept: dict[str, str] = {}
    late: list[Obj] = []
    left: list[float] = []
    for pod in pods:
        moment = before.get(pod["metadata"]["name"])
        if moment is None or is_being_deleted(pod):
            continue
        seconds = (parse_rfc3339(moment) + timedelta(seconds=DELETION_SECONDS) - now).total_seconds()
        if seconds <= 0:
            late.append(pod)
        else:
            kept[pod["metadata"]["name"]] = moment
            left.append(seconds)
    return kept, min(left, default=None), late


def failed_status(budget: Mapping[str, Any], why: str, now: datetime) -> Obj:
    """Return a status that allows nothing, because nobody knows how many pods there should be."""
    before, generation = budget.get("status") or {}, budget["metadata"].get("generation") or 0
    told = {"type": DISRUPTION_ALLOWED, "status": "False", "reason": SYNC_FAILED, "message": why,
            "observedGeneration": generation}  # fmt: skip
    conditions = set_condition(before.get("conditions"), told, rfc3339(now))
    return {**before, "disruptionsAllowed": 0, "observedGeneration": generation, "conditions": conditions}
