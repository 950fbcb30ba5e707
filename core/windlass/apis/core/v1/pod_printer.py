"""What kubectl shows of a pod: readiness, state and restarts, summed up from its containers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from windlass.apimachinery.scheme import Column, Obj
from windlass.apimachinery.table import age, since

NONE = "<none>"
TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


class PodSummary(NamedTuple):
    """State of a pod in the words of `kubectl get pods`."""

    ready: int
    total: int
    reason: str
    restarts: int
    last_restart: str


class _Count:
    """Restarts of some containers and when the last of them ended before."""

    def __init__(self) -> None:
        self.restarts = 0
        self.last = ""

    def add(self, status: Mapping[str, Any]) -> None:
        self.restarts += status.get("restartCount") or 0
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, ended)


def summarize(pod: Obj) -> PodSummary:
    """Sum a pod up as kubectl does."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {container.get("name") for container in spec.get("initContainers") or []
                if container.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or []) + len(sidecars)
    reason = status.get("reason") or status.get("phase") or ""
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    init_reason, ready, all_init, sidecar_count = _sum_init(spec, status, sidecars)
    count = all_init
    if not init_reason or _condition(status, "Initialized").get("status") == "True":
        count = sidecar_count
        reason, ready = _sum_main(status, init_reason or reason, ready, count)
    else:
        reason = init_reason
    return PodSummary(ready, total, _with_deletion(pod, status, reason), count.restarts, count.last)


def _sum_init(spec: Mapping[str, Any], status: Mapping[str, Any],
              sidecars: set[Any]) -> tuple[str, int, _Count, _Count]:
    """Return why an init container holds the pod up (or ''), ready sidecars, restarts of all and of sidecars."""
    everyone, sidecar_count = _Count(), _Count()
    ready = 0
    for index, container in enumerate(status.get("initContainerStatuses") or []):
        everyone.add(container)
        sidecar = container.get("name") in sidecars
        if sidecar:
            sidecar_count.add(container)
        terminated = (container.get("state") or {}).get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        progress = f"{index}/{len(spec.get('initContainers') or [])}"
        return f"Init:{_init_reason(container.get('state') or {}, progress)}", ready, everyone, sidecar_count
    return "", ready, everyone, sidecar_count


def _init_reason(state: Mapping[str, Any], progress: str) -> str:
    terminated, waiting = state.get("terminated"), state.get("waiting") or {}
    if terminated is not None:
        return _terminated_reason(terminated)
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return str(waiting["reason"])
    return progress


def _terminated_reason(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _sum_main(status: Mapping[str, Any], reason: str, ready: int, count: _Count) -> tuple[str, int]:
    running = False
    # From the last to the first: the first container's reason is the one that is shown.
    for container in reversed(status.get("containerStatuses") or []):
        count.add(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _terminated_reason(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            ready += 1
    if reason == "Completed" and running:
        reason = "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"
    return reason, ready


def _with_deletion(pod: Obj, status: Mapping[str, Any], reason: str) -> str:
    if not (pod.get("metadata") or {}).get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in TERMINAL_PHASES else "Terminating"


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _ready(pod: Obj, _now: datetime) -> str:
    summary = summarize(pod)
    return f"{summary.ready}/{summary.total}"


def _restarts(pod: Obj, now: datetime) -> str:
    summary = summarize(pod)
    if not summary.restarts or not summary.last_restart:
        return str(summary.restarts)
    return f"{summary.restarts} ({since(summary.last_restart, now)} ago)"


def pod_ip(pod: Obj) -> str:
    """Return the pod's first address, or ''."""
    status = pod.get("status") or {}
    addresses = status.get("podIPs") or []
    return str((addresses[0].get("ip") if addresses else status.get("podIP")) or "")


def _readiness_gates(pod: Obj, _now: datetime) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or []
    status = pod.get("status") or {}
    true = [gate for gate in gates if _condition(status, gate.get("conditionType") or "").get("status") == "True"]
    return f"{len(true)}/{len(gates)}" if gates else NONE


POD_COLUMNS = (
    Column("Ready", _ready, description="Containers that are ready, of all."),
    Column("Status", lambda pod, _now: summarize(pod).reason, description="State of the pod, summed up."),
    Column("Restarts", _restarts, description="Restarts of the pod's containers, and when the last one was."),
    Column("Age", age, description="Time since the pod was created."),
    Column("IP", lambda pod, _now: pod_ip(pod) or NONE, priority=1, description="Address of the pod."),
    Column("Node", lambda pod, _now: (pod.get("spec") or {}).get("nodeName") or NONE, priority=1,
           description="Node that the pod runs on."),
    Column("Nominated Node", lambda pod, _now: (pod.get("status") or {}).get("nominatedNodeName") or NONE, priority=1,
           description="Node on which room is being made for the pod."),
    Column("Readiness Gates", _readiness_gates, priority=1, description="Readiness gates that are true, of all."),
)
