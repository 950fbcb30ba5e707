"""The pod conditions that the agent owns. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Obj = dict[str, Any]

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def condition(
    kind: str,
    true: bool,  # noqa: FBT001 - reads as the condition's status
    reason: str = "",
    message: str = "",
) -> Obj:
    """Make one condition without times; `merge` fills them in."""
    made: Obj = {"type": kind, "status": "True" if true else "False"}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def _names(statuses: Sequence[Obj]) -> str:
    return "[" + " ".join(s["name"] for s in statuses) + "]"


def initialized_condition(phase: str, init_statuses: Sequence[Obj], *, done: bool) -> Obj:
    """Build `Initialized`."""
    if done:
        return condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else "")
    open_ones = [
        s
        for s in init_statuses
        if not s.get("ready") and (s["state"].get("terminated") or {"exitCode": 1})["exitCode"] != 0
    ]
    message = f"containers with incomplete status: {_names(open_ones)}"
    return condition("Initialized", False, "ContainersNotInitialized", message)


def containers_ready_condition(phase: str, statuses: Sequence[Obj]) -> Obj:
    """Build `ContainersReady`."""
    if phase in ("Succeeded", "Failed"):
        return condition("ContainersReady", False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    unready = [s for s in statuses if not s.get("ready")]
    if not unready:
        return condition("ContainersReady", True)
    message = f"containers with unready status: {_names(unready)}"
    return condition("ContainersReady", False, "ContainersNotReady", message)


def ready_condition(containers_ready: Obj, gates: Sequence[str], existing: Mapping[str, Obj]) -> Obj:
    """Build `Ready` from `ContainersReady` and the pod's readiness gates."""
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    unmet = [g for g in gates if existing.get(g, {}).get("status") != "True"]
    if not unmet:
        return condition("Ready", True)
    message = "; ".join(
        f'corresponding condition of pod readiness gate "{g}" '
        + (f'is not "True": {existing[g].get("status")}' if g in existing else "does not exist.")
        for g in unmet
    )
    return condition("Ready", False, "ReadinessGatesNotReady", message)


def merge(made: Sequence[Obj], existing: Sequence[Obj], now: str) -> list[Obj]:
    """Join our conditions with everybody else's, keeping the transition times of those that did not change."""
    before = {c["type"]: c for c in existing}
    merged: list[Obj] = []
    for new in made:
        old = before.get(new["type"], {})
        same = old.get("status") == new["status"]
        changed = old.get("lastTransitionTime") if same else None
        merged.append({**new, "lastProbeTime": None, "lastTransitionTime": changed or now})
    ours = {c["type"] for c in made}
    return merged + [c for c in existing if c["type"] not in ours]
