"""Which pods nobody will ever finish. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.meta import set_condition

Obj = dict[str, Any]
QUARANTINE_SECONDS = 40.0


def is_orphaned(pod: Mapping[str, Any], missing_seconds: float | None) -> bool:
    """Say whether the pod's node has been missing for long enough (None: it is there)."""
    return missing_seconds is not None and missing_seconds >= QUARANTINE_SECONDS and bool(pod["spec"].get("nodeName"))


def is_stuck_unscheduled(pod: Mapping[str, Any]) -> bool:
    """Say whether the pod is being deleted and never got a node that could finish it."""
    return bool(pod["metadata"].get("deletionTimestamp")) and not pod["spec"].get("nodeName")


def failed_status(pod: Mapping[str, Any], now: str) -> Obj:
    """Return the status of a pod whose node has gone."""
    status = pod.get("status") or {}
    if status.get("phase") in {"Succeeded", "Failed"}:
        return dict(status)
    told = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists"}
    return {**status, "phase": "Failed", "conditions": set_condition(status.get("conditions"), told, now)}
