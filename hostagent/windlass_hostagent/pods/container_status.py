"""One container's entry in `containerStatuses`. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from windlass.clock import rfc3339
from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus
from windlass_hostagent.pods.observation import HEALTHY, PodObservation, Waiting

Obj = dict[str, Any]


def timestamp(seconds: float) -> str | None:
    """Format UNIX seconds for the wire; None when it never happened."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds > 0 else None


def container_id(scheme: str, status: ContainerStatus) -> str:
    """Return the id as the API shows it, `docker://<id>`."""
    return f"{scheme}://{status.id}"


def terminated_state(status: ContainerStatus, scheme: str) -> Obj:
    """Build the `terminated` state of a container that ended."""
    state: Obj = {
        "exitCode": status.exit_code,
        "reason": status.reason or ("Completed" if status.exit_code == 0 else "Error"),
        "startedAt": timestamp(status.started_at),
        "finishedAt": timestamp(status.finished_at),
        "containerID": container_id(scheme, status),
    }
    if status.message:
        state["message"] = status.message
    return {"terminated": state}


def _state(last: ContainerStatus | None, waiting: Waiting | None, default: Waiting, scheme: str) -> tuple[Obj, bool]:
    """Return the state and whether `last` has become the past (it waits to run again)."""
    if last is not None and last.state is ContainerState.RUNNING:
        return {"running": {"startedAt": timestamp(last.started_at)}}, False
    shown = waiting or default
    waits: Obj = {"waiting": {"reason": shown.reason, **({"message": shown.message} if shown.message else {})}}
    if last is None or last.state is not ContainerState.EXITED:
        return waits, False
    return (waits, True) if waiting is not None else (terminated_state(last, scheme), False)


def build_container_status(
    container: Obj,
    observed: PodObservation,
    *,
    default: Waiting,
    before: Mapping[str, Any],
    scheme: str,
) -> Obj:
    """Build one entry. `before` is the entry in the API now, for what the runtime no longer remembers."""
    name = container["name"]
    history = observed.history(name)
    last = history[0] if history else None
    state, past = _state(last, observed.waiting.get(name), default, scheme)
    running = last is not None and "running" in state
    health = observed.health_of(last) if last is not None else HEALTHY
    previous = last if past else (history[1] if len(history) > 1 else None)
    last_state = terminated_state(previous, scheme) if previous else _remembered(before, last, scheme)
    restarts = max(last.attempt if last else 0, observed.attempts.get(name, 0))
    made: Obj = {
        "name": name,
        "state": state,
        "lastState": last_state,
        "ready": running and health.started and health.ready,
        "restartCount": restarts,
        "image": container["image"] if last is None else last.image,
        "imageID": "" if last is None else last.image_id,
        "started": running and health.started,
    }
    if last is not None and last.state is not ContainerState.CREATED:
        made["containerID"] = container_id(scheme, last)
    elif before.get("containerID"):
        made["containerID"] = before["containerID"]
    resources = container.get("resources") or {}
    if running and resources:
        made["resources"] = resources
        if resources.get("requests"):
            made["allocatedResources"] = resources["requests"]
    return made


def _remembered(before: Mapping[str, Any], last: ContainerStatus | None, scheme: str) -> Obj:
    """Keep what the API says about an earlier attempt that the runtime has forgotten."""
    ended = (before.get("state") or {}).get("terminated")
    same = last is not None and before.get("containerID") == container_id(scheme, last)
    if ended and not same:
        return {"terminated": ended}
    if last is None and (before.get("state") or {}).get("running"):
        return {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was observed",
                "startedAt": None,
                "finishedAt": None,
            }
        }
    return dict(before.get("lastState") or {})


def build_statuses(
    containers: Sequence[Obj],
    observed: PodObservation,
    before: Sequence[Mapping[str, Any]],
    *,
    default: Waiting,
    scheme: str,
) -> list[Obj]:
    """Build the entries of a list of containers, in the spec's order."""
    known = {b["name"]: b for b in before}
    return [
        build_container_status(c, observed, default=default, before=known.get(c["name"], {}), scheme=scheme)
        for c in containers
    ]
