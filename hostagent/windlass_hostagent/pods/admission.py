"""Whether this node can take a pod that was bound to it: pods may be bound by hand, or by an old view. Pure.

A refused pod ends as Failed with the reason that kubelet gives (OutOfcpu, NodeAffinity, ...); its owner makes another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.apis.core.v1.node_selection import matches_node
from windlass.apis.core.v1.pod_resources import pod_requests, resource_amount
from windlass.apis.core.v1.resource_validation import is_extended
from windlass_hostagent.pods.options import PodOptions
from windlass_hostagent.pods.security import UNCONFINED, apparmor_of, effective
from windlass_hostagent.pods.sysctls import forbidden

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pod is not taken, as `status.reason` and `status.message` say it."""

    reason: str
    message: str


def refusal(pod: Obj, others: Sequence[Obj], allocatable: Mapping[str, str], node: Obj | None) -> Refusal | None:
    """Return why the node cannot take a pod beside the `others` that it has taken; None when it can.

    `node` is the Node object, None while unknown (nothing is then said about labels).
    """
    if node is not None and not matches_node(pod["spec"], node):
        return Refusal(
            "NodeAffinity",
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        )
    live = [p for p in others if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    room = int(allocatable.get("pods", "110"))
    if len(live) + 1 > room:
        return _out_of("pods", 1, len(live), room)
    wanted = pod_requests(pod["spec"])
    if not any(wanted.values()):
        return None
    used: dict[str, int] = {}
    for other in live:
        for name, amount in pod_requests(other["spec"]).items():
            used[name] = used.get(name, 0) + amount
    for name, amount in sorted(wanted.items()):
        if is_extended(name) and name not in allocatable:
            continue  # an operator's or a device plugin's: counted by the scheduler from the Node object
        capacity = resource_amount(name, allocatable.get(name, "0"))
        if amount and used.get(name, 0) + amount > capacity:
            return _out_of(name, amount, used.get(name, 0), capacity)
    return None


def unsupported(pod: Obj, options: PodOptions) -> Refusal | None:
    """Return why this node can never run a pod: a sysctl, another operating system, AppArmor that is not there."""
    spec = pod["spec"]
    system = (spec.get("os") or {}).get("name") or "linux"
    if system != "linux":
        return Refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    problem = forbidden(pod, options.allowed_unsafe_sysctls)
    if problem:
        return Refusal("SysctlForbidden", problem)
    if not options.apparmor:
        for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
            if apparmor_of(effective(pod, container)) not in ("", UNCONFINED):
                return Refusal("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return None


def _out_of(resource: str, requested: int, used: int, capacity: int) -> Refusal:
    return Refusal(
        f"OutOf{resource}",
        f"Pod was rejected: Node didn't have enough resource: {resource}, "
        f"requested: {requested}, used: {used}, capacity: {capacity}",
    )
