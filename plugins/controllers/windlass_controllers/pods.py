"""What controllers ask about pods. Pure."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import find_condition, is_being_deleted, is_condition_true
from windlass.clock import parse_rfc3339

Pod = Mapping[str, Any]
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def is_active(pod: Pod) -> bool:
    """Say whether a pod runs or may yet run."""
    return phase_of(pod) not in {"Succeeded", "Failed"} and not is_being_deleted(pod)


def phase_of(pod: Pod) -> str:
    """Return status.phase."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_ready(pod: Pod) -> bool:
    """Say whether the Ready condition is true."""
    return is_condition_true((pod.get("status") or {}).get("conditions"), "Ready")


def ready_since(pod: Pod) -> datetime | None:
    """Return since when the pod has been ready; None when it is not."""
    condition = find_condition((pod.get("status") or {}).get("conditions"), "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    moment = condition.get("lastTransitionTime")
    return parse_rfc3339(moment) if moment else None


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """Return how long until a pod counts as available: 0 when it does, None when it is not ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds <= 0:
        return 0.0
    since = ready_since(pod)
    return max(0.0, min_ready_seconds - (now - since).total_seconds()) if since is not None else None


def random_suffix() -> str:
    """Return five letters and digits that spell no word, as generateName appends them."""
    return "".join(secrets.choice(ALPHABET) for _ in range(5))
