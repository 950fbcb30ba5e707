"""What a node's silence, conditions and cordon mean for its taints and conditions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.meta import find_condition, set_condition
from windlass_controllers.taints import NOT_READY, UNREACHABLE, UNSCHEDULABLE

Obj = dict[str, Any]
GRACE_SECONDS = 40.0
UNHEALTHY_FRACTION = 0.55
LARGE_CLUSTER = 50
NORMAL_RATE, SLOW_RATE = 0.1, 0.01
HEARTBEAT_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_NO_SCHEDULE = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()})


def plan_silence(node: Mapping[str, Any], silent_seconds: float, now: str) -> list[Obj] | None:
    """Return the node's new conditions when it has been silent for too long; None when nothing changes."""
    if silent_seconds <= GRACE_SECONDS:
        return None
    before = (node.get("status") or {}).get("conditions") or []
    conditions: list[Obj] = list(before)
    for kind in HEARTBEAT_CONDITIONS:
        found = find_condition(before, kind)
        if found is not None and found.get("status") == "Unknown":
            continue
        told = (
            {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
            if found is None
            else {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        )
        conditions = set_condition(conditions, {"type": kind, "status": "Unknown", **told}, now)
    return conditions if conditions != before else None


def ready_status(node: Mapping[str, Any]) -> str:
    """Return the Ready condition's status, Unknown when there is none."""
    condition = find_condition((node.get("status") or {}).get("conditions"), "Ready")
    return str(condition["status"]) if condition is not None else "Unknown"


def plan_taints(node: Mapping[str, Any], now: str, *, may_evict: bool) -> list[Obj] | None:
    """Return the node's new taints; None when they are right.

    Ours follow the conditions and the cordon; others stay as they are. `may_evict` False: no new NoExecute taint now.
    """
    spec = node.get("spec") or {}
    before = spec.get("taints") or []
    wanted = _wanted(node, may_evict=may_evict)
    kept = [taint for taint in before if not _is_ours(taint) or _id(taint) in wanted]
    present = {_id(taint) for taint in kept}
    added = [
        {"key": key, "effect": effect, **({"timeAdded": now} if effect == "NoExecute" else {})}
        for key, effect in wanted
        if (key, effect) not in present
    ]
    if _has_evicting(node) and not may_evict:
        # A limit on evictions takes nothing back by itself; that is for the recovery of the node.
        added = [taint for taint in added if taint["effect"] != "NoExecute"]
    result = kept + added
    return result if result != before else None


def _wanted(node: Mapping[str, Any], *, may_evict: bool) -> list[tuple[str, str]]:
    spec, conditions = node.get("spec") or {}, (node.get("status") or {}).get("conditions")
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready_status(node))
    wanted: list[tuple[str, str]] = []
    if key is not None:
        wanted.append((key, "NoSchedule"))
        if may_evict or _has_evicting(node):
            wanted.append((key, "NoExecute"))
    for condition, pressure in _PRESSURE.items():
        found = find_condition(conditions, condition)
        if found is not None and found.get("status") == "True":
            wanted.append((pressure, "NoSchedule"))
    if spec.get("unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    return wanted


def _id(taint: Mapping[str, Any]) -> tuple[str, str]:
    return taint["key"], str(taint.get("effect"))


def _is_ours(taint: Mapping[str, Any]) -> bool:
    key, effect = _id(taint)
    if effect == "NoExecute":
        return key in {NOT_READY, UNREACHABLE}
    return effect == "NoSchedule" and key in _NO_SCHEDULE


def _has_evicting(node: Mapping[str, Any]) -> bool:
    taints = (node.get("spec") or {}).get("taints") or ()
    return any(_id(taint) in {(NOT_READY, "NoExecute"), (UNREACHABLE, "NoExecute")} for taint in taints)


def needs_eviction(node: Mapping[str, Any]) -> bool:
    """Say whether the node should get a NoExecute taint that it has not."""
    return ready_status(node) != "True" and not _has_evicting(node)


def eviction_rate(nodes: Sequence[Mapping[str, Any]]) -> float:
    """Return how many nodes per second may begin to lose their pods.

    When no node is ready, the trouble is more likely ours: none. When most are not: slowly, or not at all in a small
    cluster.
    """
    bad = sum(ready_status(node) != "True" for node in nodes)
    if not nodes or bad == len(nodes):
        return 0.0
    if bad > 2 and bad / len(nodes) >= UNHEALTHY_FRACTION:
        return SLOW_RATE if len(nodes) > LARGE_CLUSTER else 0.0
    return NORMAL_RATE


@dataclass(slots=True)
class EvictionLimiter:
    """A token bucket of size one whose rate may change."""

    tokens: float = 1.0
    filled_at: float = 0.0

    def may_evict(self, rate: float, now: float) -> bool:
        """Take a token if there is one."""
        if self.filled_at:
            self.tokens = min(1.0, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now
        if rate <= 0 or self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def not_ready_pod(pod: Mapping[str, Any], now: str) -> list[Obj] | None:
    """Return the conditions of a pod whose node has gone silent: not Ready any more; None when nothing changes."""
    before = (pod.get("status") or {}).get("conditions") or []
    found = find_condition(before, "Ready")
    if found is None or found.get("status") != "True":
        return None
    told = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "message": "The node of the pod is not ready"}
    return set_condition(before, told, now)
