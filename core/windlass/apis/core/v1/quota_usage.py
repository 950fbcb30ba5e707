"""What an object uses of a quota, and which quotas count it. Pure; admission and the quota controller count alike."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from windlass.apis.core.v1.pod_quantities import Amounts, container_amounts, pod_amounts
from windlass.apis.core.v1.qos import qos_class
from windlass.apis.core.v1.quota_resources import (
    BEST_EFFORT,
    COMPUTE,
    CROSS_NAMESPACE,
    HUGE_PAGES,
    LEGACY_COUNTS,
    NOT_BEST_EFFORT,
    NOT_TERMINATING,
    PRIORITY_CLASS,
    TERMINATING,
    count_name,
)
from windlass.apis.core.v1.resource_quota import quota_scopes
from windlass.clock import parse_rfc3339

Obj = Mapping[str, Any]
Sort = tuple[str, str]
"""Group and plural of a resource."""
PODS, SERVICES, CLAIMS = ("", "pods"), ("", "services"), ("", "persistentvolumeclaims")
DETAILED = frozenset({PODS, SERVICES, CLAIMS})
"""What is looked into; of everything else only the number counts."""
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events"), ("", "bindings")})
POD_NAMES = COMPUTE | {"pods", "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}
SERVICE_NAMES = frozenset({"services", "services.nodeports", "services.loadbalancers"})
CLASS_INFIX = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
ENDED = ("Succeeded", "Failed")
ONE = "1"


def concerned(names: Iterable[str], sort: Sort) -> set[str]:
    """Return which of a quota's names are about a resource."""
    return {name for name in names if _concerns(name, sort)}


def _concerns(name: str, sort: Sort) -> bool:
    group, plural = sort
    if sort in IGNORED:
        return False
    if name == count_name(group, plural) or (not group and name == plural and plural in LEGACY_COUNTS):
        return True
    if sort == PODS:
        extended = name.startswith("requests.") and "/" in name
        return name in POD_NAMES or name.startswith(HUGE_PAGES) or extended
    if sort == SERVICES:
        return name in SERVICE_NAMES
    return sort == CLAIMS and (name in ("persistentvolumeclaims", "requests.storage") or CLASS_INFIX in name)


def usage_of(sort: Sort, obj: Obj, now: datetime) -> Amounts:
    """Return what an object uses, of every name that there could be."""
    group, plural = sort
    used: Amounts = {count_name(group, plural): ONE}
    if not group and plural in LEGACY_COUNTS:
        used[plural] = ONE
    if sort == PODS and not has_ended(obj, now):
        used |= _pod_usage(obj)
    elif sort == SERVICES:
        used |= _service_usage(obj.get("spec") or {})
    elif sort == CLAIMS:
        used |= _claim_usage(obj)
    return used


def has_ended(pod: Obj, now: datetime) -> bool:
    """Say whether a pod holds its resources no more: it has ended, or its grace is over."""
    metadata = pod["metadata"]
    if (pod.get("status") or {}).get("phase") in ENDED:
        return True
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    # Kubernetes, too, waits the grace once more beyond the moment by which the pod should be gone.
    return bool(deleted) and grace is not None and now > parse_rfc3339(deleted) + timedelta(seconds=int(grace))


def _pod_usage(pod: Obj) -> Amounts:
    spec, used = pod.get("spec") or {}, {"pods": ONE}
    for name, text in pod_amounts(spec, "requests").items():
        used.update(dict.fromkeys(_request_keys(name), text))
    for name, text in pod_amounts(spec, "limits").items():
        if name in ("cpu", "memory", "ephemeral-storage"):
            used[f"limits.{name}"] = text
    return used


def _request_keys(name: str) -> tuple[str, ...]:
    if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
        return name, f"requests.{name}"
    return (f"requests.{name}",) if "/" in name else ()


def _service_usage(spec: Obj) -> Amounts:
    kind, ports, used = spec.get("type"), spec.get("ports") or (), {"services": ONE}
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
    if kind in ("NodePort", "LoadBalancer"):
        used["services.nodeports"] = str(len(ports))
    return used


def _claim_usage(claim: Obj) -> Amounts:
    spec, used = claim.get("spec") or {}, {"persistentvolumeclaims": ONE}
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get(CLASS_ANNOTATION) or spec.get("storageClassName")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is not None:
        used["requests.storage"] = storage
    if name:
        used |= {f"{name}{CLASS_INFIX}{key}": text for key, text in used.items()}
    return used


def counts(quota_spec: Obj, sort: Sort, obj: Obj) -> bool:
    """Say whether a quota's scopes select an object; only pods have scopes."""
    scopes = quota_scopes(dict(quota_spec))
    return all(sort == PODS and _in_scope(obj.get("spec") or {}, scope) for scope in scopes)


def _in_scope(spec: Obj, requirement: Obj) -> bool:
    scope = requirement.get("scopeName")
    if scope in (TERMINATING, NOT_TERMINATING):
        return bool(scope == TERMINATING) == (spec.get("activeDeadlineSeconds") is not None)
    if scope in (BEST_EFFORT, NOT_BEST_EFFORT):
        return bool(scope == BEST_EFFORT) == (qos_class(spec) == "BestEffort")
    if scope == CROSS_NAMESPACE:
        return _crosses_namespaces(spec.get("affinity") or {})
    return scope == PRIORITY_CLASS and _has_priority(spec.get("priorityClassName") or "", requirement)


def _has_priority(name: str, requirement: Obj) -> bool:
    operator, values = requirement.get("operator"), requirement.get("values") or ()
    if operator == "In":
        return name in list(values)
    if operator == "NotIn":
        return name not in list(values)
    return bool(name) == (operator == "Exists")


def _crosses_namespaces(affinity: Obj) -> bool:
    terms: list[Obj] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [one.get("podAffinityTerm") or {} for one in preferred]
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms)


def missing(names: Iterable[str], sort: Sort, obj: Obj) -> str:
    """Say which compute resources, bounded by a quota, some containers do not name; '' when all is there."""
    if sort != PODS:
        return ""
    wanted, spec = sorted(set(names) & COMPUTE), obj.get("spec") or {}
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    lacking = {name: sorted({c["name"] for c in containers if not _names(c, name)}) for name in wanted}
    told = [f"{name} for: {','.join(found)}" for name, found in lacking.items() if found]
    return f"must specify {'; '.join(told)}" if told else ""


def _names(container: Obj, name: str) -> bool:
    field, dot, resource = name.rpartition(".")
    return resource in container_amounts(container, field if dot else "requests")
