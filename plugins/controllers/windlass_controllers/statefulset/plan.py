"""What a StatefulSet needs next: one step after another, or all at once. Pure.

In order: what is missing from the lowest number up, each pod available before the next; then what is too much from the
highest number down; then old templates from the highest number down to the partition.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass_controllers.pods import is_ready, phase_of, seconds_until_available
from windlass_controllers.revisions import HASH_LABEL, hash_of
from windlass_controllers.statefulset.identity import ordinal_of, ordinals

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Revisions:
    """The snapshot that pods had before, and the newest; the same one when no update is under way."""

    current: Obj
    update: Obj


@dataclass(slots=True)
class StatefulPlan:
    """Create pods for these numbers (with the snapshot to make them from), delete those pods."""

    create: list[tuple[int, Obj]] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    again_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Set:
    """A StatefulSet and its pods at one moment."""

    spec: Mapping[str, Any]
    wanted: range
    held: Mapping[int, Obj]
    revisions: Revisions
    now: datetime

    @property
    def ordered(self) -> bool:
        return bool(self.spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def partition(self) -> int:
        rolling = (self.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return int(rolling.get("partition") or 0)

    @property
    def rolling(self) -> bool:
        return bool((self.spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")

    def wait(self, pod: Mapping[str, Any]) -> float | None:
        return seconds_until_available(pod, int(self.spec.get("minReadySeconds") or 0), self.now)

    def healthy(self, pod: Mapping[str, Any]) -> bool:
        return not is_being_deleted(pod) and phase_of(pod) == "Running" and self.wait(pod) == 0

    def is_updated(self, pod: Mapping[str, Any]) -> bool:
        return bool((pod["metadata"].get("labels") or {}).get(HASH_LABEL) == hash_of(self.revisions.update))


def plan_pods(
    stateful_set: Mapping[str, Any], pods: Sequence[Obj], revisions: Revisions, now: datetime
) -> StatefulPlan:
    """Return the next steps. `pods` are those that the set owns; names that are none of its own are left alone."""
    held = {n: pod for pod in pods if (n := ordinal_of(stateful_set, pod)) is not None}
    one = _Set(stateful_set["spec"], ordinals(stateful_set), held, revisions, now)
    plan = StatefulPlan()
    waits = [wait for pod in held.values() if (wait := one.wait(pod))]
    plan.again_seconds = min(waits, default=None)
    if _fill(one, plan) and _shrink(one, plan):
        _update(one, plan)
    return plan


def _revision_for(one: _Set, ordinal: int) -> Obj:
    """Return the snapshot from which a missing pod is made: the old one below the partition."""
    held_back = one.rolling and ordinal - one.wanted.start < one.partition
    return one.revisions.current if held_back else one.revisions.update


def _fill(one: _Set, plan: StatefulPlan) -> bool:
    """See to the pods that should be there; say whether the next part may begin."""
    for ordinal in one.wanted:
        pod = one.held.get(ordinal)
        if pod is None:
            plan.create.append((ordinal, _revision_for(one, ordinal)))
            if one.ordered:
                return False
            continue
        if phase_of(pod) in {"Failed", "Succeeded"} and not is_being_deleted(pod):
            plan.delete.append(pod)
            if one.ordered:
                return False
            continue
        if one.ordered and not one.healthy(pod):
            return False
    return True


def _shrink(one: _Set, plan: StatefulPlan) -> bool:
    """Delete pods beyond the wanted numbers, the highest first; say whether the next part may begin."""
    condemned = sorted((n for n in one.held if n not in one.wanted), reverse=True)
    unhealthy = [n for n in sorted(one.held) if not one.healthy(one.held[n])]
    first_unhealthy = unhealthy[0] if unhealthy else None
    for ordinal in condemned:
        pod = one.held[ordinal]
        if is_being_deleted(pod):
            if one.ordered:
                return False
            continue
        if one.ordered and not one.healthy(pod) and ordinal != first_unhealthy:
            return False
        plan.delete.append(pod)
        if one.ordered:
            return False
    return not condemned


def _update(one: _Set, plan: StatefulPlan) -> None:
    """Delete pods of an old template, the highest number first, as many as may be missing."""
    if not one.rolling:
        return
    rolling = (one.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    allowed = _resolve(rolling.get("maxUnavailable", 1), len(one.wanted))
    lowest = one.wanted.start + one.partition
    missing = sum(not one.healthy(one.held[n]) for n in one.wanted if n in one.held) + len(plan.create)
    for ordinal in reversed(range(lowest, one.wanted.stop)):
        pod = one.held.get(ordinal)
        if pod is None or pod in plan.delete:
            continue
        if one.is_updated(pod):
            if not one.healthy(pod) and allowed == 1:
                return
            continue
        if is_being_deleted(pod):
            return
        if not one.healthy(pod):
            plan.delete.append(pod)  # it is missing already
            if allowed == 1:
                return
            continue
        if missing >= allowed:
            return
        missing += 1
        plan.delete.append(pod)


def _resolve(value: Any, whole: int) -> int:
    number = math.ceil(int(value.removesuffix("%")) * whole / 100) if isinstance(value, str) else int(value)
    return max(1, number)


def plan_status(
    stateful_set: Mapping[str, Any], pods: Sequence[Obj], revisions: Revisions, collisions: int, now: datetime
) -> Obj:
    """Return the status. An update that has reached every pod makes its snapshot the current one."""
    spec, before = stateful_set["spec"], stateful_set.get("status") or {}
    alive = [pod for pod in pods if ordinal_of(stateful_set, pod) is not None]
    counted = [pod for pod in alive if not is_being_deleted(pod)]
    seconds = int(spec.get("minReadySeconds") or 0)
    ready = [pod for pod in alive if phase_of(pod) == "Running" and is_ready(pod)]
    status: Obj = {
        "replicas": len(alive),
        "readyReplicas": len(ready),
        "availableReplicas": sum(seconds_until_available(pod, seconds, now) == 0 for pod in ready),
        "currentReplicas": _with_hash(counted, hash_of(revisions.current)),
        "updatedReplicas": _with_hash(counted, hash_of(revisions.update)),
        "currentRevision": revisions.current["metadata"]["name"],
        "updateRevision": revisions.update["metadata"]["name"],
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
        "collisionCount": collisions,
    }
    whole = len(ordinals(stateful_set))
    rolling = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    if rolling and status["updatedReplicas"] == status["replicas"] == status["readyReplicas"] == whole:
        status |= {"currentReplicas": status["updatedReplicas"], "currentRevision": status["updateRevision"]}
    if before.get("conditions"):
        status["conditions"] = before["conditions"]
    return status


def _with_hash(pods: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum((pod["metadata"].get("labels") or {}).get(HASH_LABEL) == name for pod in pods)
