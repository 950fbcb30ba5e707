"""What a Deployment reports: counts, Available, Progressing, ReplicaFailure. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import find_condition, remove_condition, set_condition
from windlass.clock import parse_rfc3339, rfc3339
from windlass_controllers.deployment.replicasets import replicas_of, total
from windlass_controllers.deployment.rolling import surge_and_unavailable

Obj = dict[str, Any]
AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def counts(deployment: Mapping[str, Any], new: Obj | None, everyone: Sequence[Obj]) -> Obj:
    """Return the numbers of the status."""
    available = total(everyone, "availableReplicas")
    status: Obj = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total(everyone, "replicas"),
        "updatedReplicas": total([new], "replicas") if new is not None else 0,
        "readyReplicas": total(everyone, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(replicas_of, everyone)) - available),
    }
    collisions = (deployment.get("status") or {}).get("collisionCount")
    if collisions:
        status["collisionCount"] = collisions
    return {key: value for key, value in status.items() if value or key == "observedGeneration"}


def is_complete(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Say whether all wanted pods are of the new template and available, and no others are left."""
    wanted = replicas_of(deployment)
    numbers = [int(status.get(key) or 0) for key in ("updatedReplicas", "replicas", "availableReplicas")]
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    return numbers == [wanted] * 3 and seen


def plan_status(
    deployment: Mapping[str, Any],
    new: Obj | None,
    everyone: Sequence[Obj],
    now: datetime,
    *,
    progress: Obj | None = None,
) -> tuple[Obj, float | None]:
    """Return the new status and when to look again for the progress deadline, in seconds.

    `progress`: a Progressing condition (reason, message) that this round's work itself gives, e.g. a new ReplicaSet.
    """
    status = counts(deployment, new, everyone)
    moment = rfc3339(now)
    conditions = _with(_conditions(deployment), _available(deployment, status), moment)
    conditions = _with(conditions, _progressing(deployment, status, new, now, progress), moment)
    failure = find_condition((new.get("status") or {}).get("conditions"), FAILURE) if new is not None else None
    failure = failure or next((f for rs in everyone if (f := _failure(rs)) is not None), None)
    if failure is None:
        conditions = remove_condition(conditions, FAILURE)
    else:
        told = {key: failure[key] for key in ("type", "status", "reason", "message") if key in failure}
        conditions = _with(conditions, told, moment)
    status["conditions"] = conditions
    return status, _seconds_to_deadline(deployment, conditions, status, now)


def _conditions(deployment: Mapping[str, Any]) -> list[Obj]:
    return list((deployment.get("status") or {}).get("conditions") or ())


def _failure(replica_set: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return find_condition((replica_set.get("status") or {}).get("conditions"), FAILURE)


def _available(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> Obj:
    _, unavailable = surge_and_unavailable(deployment)
    enough = int(status.get("availableReplicas") or 0) >= replicas_of(deployment) - unavailable
    told = (
        {"status": "True", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}
        if enough
        else {
            "status": "False", "reason": "MinimumReplicasUnavailable",
            "message": "Deployment does not have minimum availability.",
        }
    )
    return {"type": AVAILABLE, **told}


def _with(conditions: Sequence[Mapping[str, Any]], told: Mapping[str, Any] | None, moment: str) -> list[Obj]:
    """Set a condition; `lastUpdateTime` moves when its status or reason does, or when told so by `refresh`."""
    if told is None:
        return [dict(condition) for condition in conditions]
    wanted = {key: value for key, value in told.items() if key != "refresh"}
    before = find_condition(conditions, wanted["type"])
    same = before is not None and all(before.get(key) == wanted.get(key) for key in ("status", "reason"))
    if same and not told.get("refresh"):
        return [dict(condition) for condition in conditions]
    return set_condition(conditions, {**wanted, "lastUpdateTime": moment}, moment)


def _progressing(
    deployment: Mapping[str, Any], status: Obj, new: Obj | None, now: datetime, progress: Obj | None
) -> Obj | None:
    """Return the Progressing condition to set, None to leave it as it is."""
    before = find_condition(_conditions(deployment), PROGRESSING)
    paused = _paused(deployment, before)
    if paused is not None or deployment["spec"].get("paused"):
        return paused
    if progress is not None:
        return {"type": PROGRESSING, "status": "True", **progress, "refresh": True}
    if not _has_deadline(deployment):
        return None
    whose = f'ReplicaSet "{new["metadata"]["name"]}"' if new is not None else (
        f'Deployment "{deployment["metadata"]["name"]}"'
    )
    settled = int(status.get("replicas") or 0) == int(status.get("updatedReplicas") or 0)
    if before is not None and before.get("reason") == NEW_AVAILABLE and settled:
        return None
    if is_complete(deployment, status):
        message = f"{whose} has successfully progressed."
        return _news("True", NEW_AVAILABLE, message)
    if has_progressed(deployment.get("status") or {}, status):
        message = f"{whose} is progressing."
        return _news("True", "ReplicaSetUpdated", message)
    if _is_late(deployment, before, now):
        return {**_news("False", TIMED_OUT, f"{whose} has timed out progressing."), "refresh": False}
    return None


def _news(status: str, reason: str, message: str) -> Obj:
    return {"type": PROGRESSING, "status": status, "reason": reason, "message": message, "refresh": True}


def _paused(deployment: Mapping[str, Any], before: Mapping[str, Any] | None) -> Obj | None:
    if not _has_deadline(deployment):
        return None
    reason = before.get("reason") if before is not None else None
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason not in {PAUSED, TIMED_OUT}:
        return {"type": PROGRESSING, "status": "Unknown", "reason": PAUSED, "message": "Deployment is paused"}
    if not paused and reason == PAUSED:
        return {"type": PROGRESSING, "status": "Unknown", "reason": RESUMED, "message": "Deployment is resumed"}
    return None


def has_progressed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Say whether more pods are new, fewer are old, or more are ready or available than in the last status."""

    def grew(key: str) -> bool:
        return int(after.get(key) or 0) > int(before.get(key) or 0)

    def old(status: Mapping[str, Any]) -> int:
        return int(status.get("replicas") or 0) - int(status.get("updatedReplicas") or 0)

    return grew("updatedReplicas") or old(after) < old(before) or grew("readyReplicas") or grew("availableReplicas")


def _has_deadline(deployment: Mapping[str, Any]) -> bool:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return seconds is not None and seconds != 2**31 - 1


def _overdue_seconds(deployment: Mapping[str, Any], condition: Mapping[str, Any], now: datetime) -> float:
    since = parse_rfc3339(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return (now - since).total_seconds() - float(deployment["spec"]["progressDeadlineSeconds"])


def _is_late(deployment: Mapping[str, Any], condition: Mapping[str, Any] | None, now: datetime) -> bool:
    if condition is None or condition.get("reason") == NEW_AVAILABLE:
        return False
    return condition.get("reason") == TIMED_OUT or _overdue_seconds(deployment, condition, now) > 0


def _seconds_to_deadline(
    deployment: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]], status: Obj, now: datetime
) -> float | None:
    condition = find_condition(conditions, PROGRESSING)
    if condition is None or not _has_deadline(deployment) or deployment["spec"].get("paused"):
        return None
    if condition.get("reason") in {NEW_AVAILABLE, TIMED_OUT} or is_complete(deployment, status):
        return None
    return max(0.0, -_overdue_seconds(deployment, condition, now)) + 1.0
