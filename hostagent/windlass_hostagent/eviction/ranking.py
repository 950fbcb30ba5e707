"""Which pod goes first when something is short, and which has broken its own limits. Pure.

Order, as kubelet's: pods that use more than they asked for, then the lower priority, then the larger excess. Critical
pods (system priority) and static pods without a lower priority are never chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apimachinery.quantity import int_value

Obj = dict[str, Any]
SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
SOURCE_ANNOTATION = "kubernetes.io/config.source"


@dataclass(frozen=True, slots=True)
class PodUsage:
    """What a pod uses, in bytes (`pids`: processes). `containers` is written layer plus log, by container name."""

    memory: int = 0
    ephemeral_storage: int = 0
    pids: int = 0
    containers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)

    def of(self, resource: str) -> int:
        """Return the usage of memory, ephemeral-storage or pids."""
        return {"memory": self.memory, "ephemeral-storage": self.ephemeral_storage, "pids": self.pids}.get(resource, 0)


def is_critical(pod: Obj) -> bool:
    """Say whether a pod may never be evicted: a mirror or static pod, or one of system priority."""
    annotations = pod["metadata"].get("annotations") or {}
    if MIRROR_ANNOTATION in annotations or annotations.get(SOURCE_ANNOTATION, "api") != "api":
        return True
    return int(pod["spec"].get("priority") or 0) >= SYSTEM_CRITICAL_PRIORITY


def requested(pod: Obj, resource: str) -> int:
    """Add up what the pod's containers request."""
    return sum(
        int_value((c.get("resources") or {}).get("requests", {}).get(resource, "0"))
        for c in pod["spec"].get("containers") or ()
    )


def rank(pods: Sequence[Obj], usage: Mapping[str, PodUsage], resource: str) -> list[Obj]:
    """Order the pods that may go, the first to go first. `usage` is by pod uid."""

    def key(pod: Obj) -> tuple[bool, int, int, str]:
        used = usage.get(pod["metadata"]["uid"], PodUsage()).of(resource)
        excess = used - requested(pod, resource)
        return excess <= 0, int(pod["spec"].get("priority") or 0), -excess, pod["metadata"]["uid"]

    return sorted((p for p in pods if not is_critical(p)), key=key)


def limit_breach(pod: Obj, used: PodUsage) -> str:
    """Return the message of the local storage limit that a pod has broken, empty when none.

    Checked: `emptyDir.sizeLimit`, the containers' `ephemeral-storage` limits, and their sum against the pod's usage.
    """
    for volume in pod["spec"].get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None and 0 < int_value(limit) < used.volumes.get(volume["name"], 0):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    limits = {}
    for container in pod["spec"].get("containers") or ():
        limit = (container.get("resources") or {}).get("limits", {}).get("ephemeral-storage")
        if limit is None:
            continue
        limits[container["name"]] = int_value(limit)
        if used.containers.get(container["name"], 0) > int_value(limit):
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{limit}". '
    whole = len(limits) == len(pod["spec"].get("containers") or ())
    total = sum(limits.values())
    if whole and used.ephemeral_storage > total:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    return ""


def eviction_message(pod: Obj, used: PodUsage, resource: str, available: int, floor: int) -> str:
    """Say why a pod was evicted, as kubelet says it."""
    message = f"The node was low on resource: {resource}. Threshold quantity: {floor}, available: {available}. "
    asked, taken = requested(pod, resource), used.of(resource)
    if taken > asked:
        names = ", ".join(c["name"] for c in pod["spec"].get("containers") or ())
        message += f"Container(s) {names} was using {taken}, request is {asked}, has larger consumption of {resource}. "
    return message
