"""Whether and when a pod must leave its node. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import set_condition
from windlass.clock import rfc3339
from windlass_controllers.taints import eviction_time

Obj = dict[str, Any]


def plan_eviction(
    pod: Mapping[str, Any],
    node: Mapping[str, Any] | None,
    first_seen: Mapping[tuple[str, str], datetime],
    now: datetime,
) -> float | None:
    """Return in how many seconds to evict: 0 now, None not at all. A pod on its way out already is left alone."""
    if node is None or pod["metadata"].get("deletionTimestamp"):
        return None
    taints = (node.get("spec") or {}).get("taints") or ()
    due = eviction_time(taints, pod["spec"].get("tolerations") or (), first_seen)
    return max(0.0, (due - now).total_seconds()) if due is not None else None


def disruption_status(pod: Mapping[str, Any], now: datetime) -> Obj:
    """Return the pod's status with the condition that tells why it is deleted."""
    status = pod.get("status") or {}
    told = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint"}
    return {**status, "conditions": set_condition(status.get("conditions"), told, rfc3339(now))}
