"""Taints and tolerations as the node controllers need them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from windlass.clock import parse_rfc3339

Taint = Mapping[str, Any]
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def is_tolerated(taint: Taint, toleration: Mapping[str, Any]) -> bool:
    """Say whether one toleration covers one taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def no_execute(taints: Sequence[Taint]) -> list[Taint]:
    """Return the taints that drive pods away."""
    return [taint for taint in taints if taint.get("effect") == "NoExecute"]


def eviction_time(
    taints: Sequence[Taint], tolerations: Sequence[Mapping[str, Any]], first_seen: Mapping[tuple[str, str], datetime]
) -> datetime | None:
    """Return when a pod must leave because of its node's NoExecute taints; None when it may stay.

    `first_seen`: since when each taint (key, value) is there, for those without `timeAdded`. A pod that does not
    tolerate a taint leaves at once; one that tolerates several for a while leaves at the end of the shortest while.
    """
    ends: list[datetime] = []
    for taint in no_execute(taints):
        since = taint_time(taint, first_seen)
        matching = [toleration for toleration in tolerations if is_tolerated(taint, toleration)]
        if not matching:
            return since
        seconds = [t["tolerationSeconds"] for t in matching if t.get("tolerationSeconds") is not None]
        if seconds:
            ends.append(since + timedelta(seconds=max(0, min(seconds))))
    return min(ends, default=None)


def taint_time(taint: Taint, first_seen: Mapping[tuple[str, str], datetime]) -> datetime:
    """Return since when a taint has been there."""
    if taint.get("timeAdded"):
        return parse_rfc3339(taint["timeAdded"])
    return first_seen[(taint["key"], str(taint.get("value") or ""))]
