"""How far each ReplicaSet may grow or shrink now: rolling update, recreate, proportional resize. Pure.

Sizes are {uid of the ReplicaSet: new spec.replicas}; only those that change are in it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from windlass_controllers.deployment.annotations import DESIRED, MAX, number
from windlass_controllers.deployment.replicasets import available_of, replicas_of, total

Obj = dict[str, Any]
Sizes = dict[str, int]


def is_rolling(deployment: Mapping[str, Any]) -> bool:
    """Say whether the strategy is RollingUpdate."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def surge_and_unavailable(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """Return maxSurge (rounded up) and maxUnavailable (rounded down) in pods; never both zero. Recreate has neither."""
    if not is_rolling(deployment):
        return 0, 0
    replicas = replicas_of(deployment)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = _resolve(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _resolve(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if not surge and not unavailable:
        unavailable = 1
    return surge, min(unavailable, replicas)


def _resolve(value: Any, replicas: int, rounding: Any) -> int:
    if isinstance(value, str):
        return int(rounding(int(value.removesuffix("%")) * replicas / 100))
    return int(value)


def size_of_new(deployment: Mapping[str, Any], new: Mapping[str, Any] | None, old: Sequence[Obj]) -> int:
    """Return the size that the new ReplicaSet may have now."""
    wanted, current = replicas_of(deployment), replicas_of(new) if new is not None else 0
    if not is_rolling(deployment) or current > wanted:
        return wanted
    surge, _ = surge_and_unavailable(deployment)
    room = wanted + surge - current - sum(map(replicas_of, old))
    return current + max(0, min(room, wanted - current))


def sizes_of_old(deployment: Mapping[str, Any], new: Mapping[str, Any], old: Sequence[Obj]) -> Sizes:
    """Return how the old ReplicaSets may shrink: unhealthy pods first, then as many as stay available elsewhere."""
    _, unavailable = surge_and_unavailable(deployment)
    min_available = replicas_of(deployment) - unavailable
    everything = replicas_of(new) + sum(map(replicas_of, old))
    not_available = max(0, replicas_of(new) - available_of(new))
    budget = everything - min_available - not_available
    sizes = {rs["metadata"]["uid"]: replicas_of(rs) for rs in old}
    before = dict(sizes)
    for rs in old:
        uid = rs["metadata"]["uid"]
        taken = min(max(0, sizes[uid] - available_of(rs)), max(0, budget))
        sizes[uid] -= taken
        budget -= taken
    spare = min(budget, available_of(new) + total(old, "availableReplicas") - min_available)
    for rs in old:
        uid = rs["metadata"]["uid"]
        taken = min(sizes[uid], max(0, spare))
        sizes[uid] -= taken
        spare -= taken
    return {uid: size for uid, size in sizes.items() if size != before[uid]}


def is_resize(deployment: Mapping[str, Any], replica_sets: Sequence[Obj]) -> bool:
    """Say whether spec.replicas has changed since the ReplicaSets that have pods were sized."""
    wanted = replicas_of(deployment)
    active = [rs for rs in replica_sets if replicas_of(rs)]
    return any(DESIRED in (rs["metadata"].get("annotations") or {}) and number(rs, DESIRED) != wanted for rs in active)


def plan_resize(deployment: Mapping[str, Any], new: Obj | None, old: Sequence[Obj]) -> Sizes:
    """Return the sizes for a changed spec.replicas: all to the only one; else in proportion to what each has."""
    wanted = replicas_of(deployment)
    everyone = [*old, *([new] if new is not None else [])]
    active = [rs for rs in everyone if replicas_of(rs)]
    if len(active) <= 1:
        chosen = active[0] if active else new or (old[-1] if old else None)
        return _changes({chosen["metadata"]["uid"]: wanted}, [chosen]) if chosen is not None else {}
    if new is not None and _is_saturated(deployment, new):
        return {rs["metadata"]["uid"]: 0 for rs in old if replicas_of(rs)}
    if not is_rolling(deployment):
        return {}
    return _changes(_proportional(deployment, active), active)


def _is_saturated(deployment: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    wanted = replicas_of(deployment)
    return replicas_of(new) == wanted == number(new, DESIRED) and available_of(new) == wanted


def _changes(sizes: Sizes, replica_sets: Sequence[Obj]) -> Sizes:
    before = {rs["metadata"]["uid"]: replicas_of(rs) for rs in replica_sets}
    return {uid: size for uid, size in sizes.items() if size != before[uid]}


def _proportional(deployment: Mapping[str, Any], active: Sequence[Obj]) -> Sizes:
    """Spread the difference over the ReplicaSets by their share; what rounding leaves goes to the largest."""
    wanted = replicas_of(deployment)
    surge, _ = surge_and_unavailable(deployment)
    allowed = wanted + surge if wanted else 0
    difference = allowed - sum(map(replicas_of, active))
    youngest_first = list(reversed(active)) if difference > 0 else list(active)
    ordered = sorted(youngest_first, key=lambda rs: -replicas_of(rs))
    sizes, left = {}, difference
    for rs in ordered:
        share = _share(rs, wanted + surge, difference) if difference else 0
        share = max(min(share, left), 0) if difference > 0 else min(max(share, left), 0)
        share = max(share, -replicas_of(rs))
        sizes[rs["metadata"]["uid"]] = replicas_of(rs) + share
        left -= share
    for rs in ordered:
        uid = rs["metadata"]["uid"]
        grown = max(0, sizes[uid] + left)
        left -= grown - sizes[uid]
        sizes[uid] = grown
    return sizes if wanted else dict.fromkeys(sizes, 0)


def _share(replica_set: Mapping[str, Any], new_max: int, difference: int) -> int:
    before = number(replica_set, MAX) or max(1, new_max - difference)
    size = replicas_of(replica_set)
    return math.floor(size * new_max / before + 0.5) - size
