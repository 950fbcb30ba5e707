"""Resource requests and limits as cgroup values, and the QoS class. Pure."""

from collections.abc import Iterable
from typing import Any

from windlass.apimachinery.quantity import cpu_millis, int_value
from windlass.apis.core.v1.pod_resources import pod_requests
from windlass.plugin.interfaces.runtime import ContainerResources

Obj = dict[str, Any]

OOM_GUARANTEED = -997
OOM_BEST_EFFORT = 1000
LEAST_CPU_MILLIS = 2


def _containers(pod: Obj) -> Iterable[Obj]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def qos_class(pod: Obj) -> str:
    """Return Guaranteed, Burstable or BestEffort, by cpu and memory of all containers."""
    guaranteed = True
    any_set = False
    for container in _containers(pod):
        resources = container.get("resources") or {}
        limits = {k: v for k, v in (resources.get("limits") or {}).items() if k in ("cpu", "memory")}
        requests = {k: v for k, v in (resources.get("requests") or {}).items() if k in ("cpu", "memory")}
        any_set = any_set or any(_positive(k, v) for k, v in [*limits.items(), *requests.items()])
        whole = {"cpu", "memory"} <= limits.keys()
        equal = all(_value(k, requests.get(k, v)) == _value(k, v) for k, v in limits.items())
        guaranteed = guaranteed and whole and equal
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _value(name: str, text: str) -> int:
    return cpu_millis(text) if name == "cpu" else int_value(text)


def _positive(name: str, text: str) -> bool:
    return _value(name, text) > 0


def oom_score_adj(pod: Obj, memory_request: int, memory_capacity: int) -> int:
    """Return the kernel's oom_score_adj as kubelet sets it."""
    if pod["spec"].get("priorityClassName") == "system-node-critical":
        return OOM_GUARANTEED
    qos = qos_class(pod)
    if qos == "Guaranteed":
        return OOM_GUARANTEED
    if qos == "BestEffort":
        return OOM_BEST_EFFORT
    adj = 1000 - (1000 * memory_request) // max(memory_capacity, 1)
    if adj < 1000 + OOM_GUARANTEED:
        return 1000 + OOM_GUARANTEED
    return adj - 1 if adj == OOM_BEST_EFFORT else adj


def container_resources(pod: Obj, container: Obj, memory_capacity: int) -> ContainerResources:
    """Translate one container's resources for the runtime."""
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    cpu_limit = cpu_millis(limits["cpu"]) if "cpu" in limits else 0
    cpu_request = cpu_millis(requests["cpu"]) if "cpu" in requests else cpu_limit
    memory_limit = int_value(limits["memory"]) if "memory" in limits else 0
    memory_request = int_value(requests["memory"]) if "memory" in requests else memory_limit
    return ContainerResources(
        cpu_request_millis=cpu_request,
        cpu_limit_millis=cpu_limit,
        memory_limit_bytes=memory_limit,
        pids_limit=0,
        oom_score_adj=oom_score_adj(pod, memory_request, memory_capacity),
    )


def _with_limits(spec: Obj) -> Obj:
    """Return a pod spec whose requests are its limits, so that one sum serves both."""
    groups = {}
    for group in ("initContainers", "containers"):
        groups[group] = [
            {**c, "resources": {"requests": (c.get("resources") or {}).get("limits") or {}}}
            for c in spec.get(group) or ()
        ]
    return {**spec, **groups}


def pod_resources(pod: Obj, max_pids: int = 0) -> ContainerResources:
    """Return the limits of a pod's cgroup: a resource that one container may take freely has none."""
    spec = pod["spec"]
    requests, limits = pod_requests(spec), pod_requests(_with_limits(spec))
    bounded = {
        name: all(name in ((c.get("resources") or {}).get("limits") or {}) for c in _containers(pod))
        for name in ("cpu", "memory")
    }
    least = LEAST_CPU_MILLIS if qos_class(pod) == "BestEffort" else 0
    return ContainerResources(
        cpu_request_millis=requests.get("cpu", 0) or least,
        cpu_limit_millis=limits.get("cpu", 0) if bounded["cpu"] else 0,
        memory_limit_bytes=limits.get("memory", 0) if bounded["memory"] else 0,
        pids_limit=max_pids,
    )


def cgroup_parent(pod: Obj, root: str) -> str:
    """Return the pod's cgroup below the node's: guaranteed pods at the top, the others by class; empty without root."""
    if not root:
        return ""
    quality = qos_class(pod)
    middle = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    return f"/{root}{middle}/pod{pod['metadata']['uid']}"
