"""Eviction: a pod goes on somebody else's wish, unless its disruption budget forbids it.

A budget is a number in a PodDisruptionBudget's status. It is taken down by a write that holds only at the revision that was
read, so that of many evictions at once, on any number of API servers, no more succeed than were allowed. The pod's name stays in
`disruptedPods` until the disruption controller has seen it go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from windlass.apimachinery.meta import find_condition, is_condition_true, set_condition
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.apis.policy.v1 import ALWAYS_ALLOW, DISRUPTION_ALLOWED, SYNC_FAILED, covers, disruption_condition
from windlass.apis.resources import PODDISRUPTIONBUDGETS
from windlass.clock import rfc3339
from windlass.errors import (
    ApiError,
    ConflictError,
    ErrorDetails,
    FieldError,
    InternalServerError,
    NotFoundError,
    TooManyRequestsError,
)
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.current import load
from windlass.registry.delete import delete
from windlass.registry.options import DeleteOptions, RequestContext, Written
from windlass.registry.refusals import forbidden, not_found
from windlass.registry.update import modify

MAX_DISRUPTED_PODS = 2000
SETTLE_SECONDS = 10
IGNORED_PHASES = frozenset({"Pending", "Succeeded", "Failed"})
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
TOO_MANY_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict_pod(backend: Backend, context: RequestContext, target: Target, options: DeleteOptions) -> Written:
    """Delete a pod within its budget. Raises 429 while that forbids it, 500 when there is more than one."""
    current = await load(backend, target, fresh=True)
    if current is None:
        raise not_found(target.kind, target.name)
    budget = await _budget_of(backend, current.obj) if is_guarded(current.obj) else None
    if budget is None:
        return await _delete(backend, context, target, options)
    if may_go_unready(budget, current.obj):
        return await _delete_as_seen(backend, context, target, options, (current.obj, budget))
    await _take_from(backend, context, budget, target.name)
    return await _delete(backend, context, target, options)


def is_guarded(pod: Mapping[str, Any]) -> bool:
    """Say whether a budget may object: a pod that has not begun, has ended or is going is no loss."""
    phase = (pod.get("status") or {}).get("phase") or "Pending"
    return phase not in IGNORED_PHASES and not pod["metadata"].get("deletionTimestamp")


async def _budget_of(backend: Backend, pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the pod's budget. Behind a barrier: one that somebody has just made must not be overlooked."""
    await backend.cache.read_barrier(backend.barrier_timeout_seconds)
    known = backend.reader.list(PODDISRUPTIONBUDGETS.qualified, pod["metadata"]["namespace"])
    found: Sequence[Mapping[str, Any]] = [budget for budget in known if covers(budget, pod)]
    if len(found) > 1:
        raise InternalServerError(TOO_MANY_BUDGETS)
    return found[0] if found else None


def may_go_unready(budget: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Say whether a pod that is not ready may go without being counted, by the budget's unhealthyPodEvictionPolicy."""
    if is_condition_true((pod.get("status") or {}).get("conditions"), "Ready"):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == ALWAYS_ALLOW:
        return True
    status = budget.get("status") or {}
    desired = int(status.get("desiredHealthy") or 0)
    return 0 < desired <= int(status.get("currentHealthy") or 0)


async def _delete_as_seen(
    backend: Backend, context: RequestContext, target: Target, options: DeleteOptions,
    seen: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Written:  # fmt: skip
    """Delete an unready pod if it has not changed: it may have become ready."""
    pod, budget = seen
    exact = replace(options, resource_version=options.resource_version or pod["metadata"]["resourceVersion"])
    try:
        return await _delete(backend, context, target, exact)
    except ConflictError:
        if options.resource_version:
            raise
        raise _still_processed(budget["metadata"]["name"]) from None


async def _delete(backend: Backend, context: RequestContext, target: Target, options: DeleteOptions) -> Written:
    def mark(pod: Obj) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            return
        told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting"}  # fmt: skip
        status = pod.setdefault("status", {})
        status["conditions"] = set_condition(status.get("conditions"), told, rfc3339(backend.clock.now()))

    return await delete(backend, context, target, options, mark=mark)


async def _take_from(backend: Backend, context: RequestContext, budget: Mapping[str, Any], pod_name: str) -> None:
    """Take one disruption off the budget; a dry run only looks."""
    kind = backend.scheme.by_resource(*PODDISRUPTIONBUDGETS[:3])
    assert kind is not None
    metadata = budget["metadata"]
    where = Target(kind, metadata["namespace"], metadata["name"], "status")
    now = rfc3339(backend.clock.now())
    try:
        await modify(backend, context, where, lambda old: (taken(kind, old, pod_name, now), []))
    except NotFoundError:
        return  # a budget that has gone forbids nothing


def taken(kind: KindDefinition, budget: Obj, pod_name: str, now: str) -> Obj:
    """Return the budget with one disruption less, used by a pod. Raises 429 or 403 when it has none to give."""
    metadata, status = budget["metadata"], dict(budget.get("status") or {})
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        raise _still_processed(metadata["name"])
    disrupted = dict(status.get("disruptedPods") or {})
    if len(disrupted) > MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(kind, metadata["name"], why)
    allowed = int(status.get("disruptionsAllowed") or 0)
    if allowed <= 0:
        raise _exhausted(metadata["name"], status)
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**disrupted, pod_name: now}
    if allowed == 1:
        status["conditions"] = disruption_condition(status, int(metadata.get("generation") or 0), now)
    return {**budget, "status": status}


def _exhausted(name: str, status: Mapping[str, Any]) -> ApiError:
    condition = find_condition(status.get("conditions"), DISRUPTION_ALLOWED) or {}
    if condition.get("status") == "False" and condition.get("reason") == SYNC_FAILED:
        why = f"does not allow evicting pods currently because it failed sync: {condition.get('message')}"
    else:
        desired, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        why = f"needs {desired} healthy pods and has {healthy} currently"
    return _too_many(f"The disruption budget {name} {why}", 0)


def _still_processed(name: str) -> ApiError:
    return _too_many(f"The disruption budget {name} is still being processed by the server.", SETTLE_SECONDS)


def _too_many(why: str, retry_after_seconds: int) -> ApiError:
    cause = FieldError("", why, "DisruptionBudget")
    details = ErrorDetails(causes=(cause,), retry_after_seconds=retry_after_seconds)
    return TooManyRequestsError(VIOLATES, details=details)
