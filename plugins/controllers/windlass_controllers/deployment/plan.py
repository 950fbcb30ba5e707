"""One step of a Deployment: what to create, resize, annotate and delete, and what to report. Pure.

A step changes at most one thing that others depend on; the next one starts from what the world then shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import find_condition, is_being_deleted
from windlass_controllers.deployment.annotations import (
    REVISION,
    annotations_of,
    highest_revision,
    new_set_annotations,
    number,
    size_annotations,
)
from windlass_controllers.deployment.replicasets import (
    find_new,
    new_replica_set,
    old_sets,
    plan_cleanup,
    replicas_of,
)
from windlass_controllers.deployment.rolling import (
    Sizes,
    is_resize,
    is_rolling,
    plan_resize,
    size_of_new,
    sizes_of_old,
    surge_and_unavailable,
)
from windlass_controllers.deployment.status import PROGRESSING, is_complete, plan_status

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a step sees. `old_pods_remain`: some pod of an old ReplicaSet has not ended yet."""

    deployment: Obj
    replica_sets: Sequence[Obj]
    old_pods_remain: bool
    now: datetime


@dataclass(slots=True)
class DeploymentPlan:
    """What to do, in this order: create, update (whole objects with their events), delete, annotate, report."""

    create: Obj | None = None
    updates: list[Obj] = field(default_factory=list)
    deletes: list[Obj] = field(default_factory=list)
    revision: str = ""
    status: Obj = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    again_seconds: float | None = None
    progress: Obj | None = None


def plan_deployment(observed: Observed) -> DeploymentPlan:
    """Return the next step."""
    deployment, sets, plan = observed.deployment, observed.replica_sets, DeploymentPlan()
    new = find_new(deployment, sets)
    old = old_sets(sets, new)
    if not is_being_deleted(deployment):
        if deployment["spec"].get("paused") or is_resize(deployment, sets):
            _resize(plan, deployment, plan_resize(deployment, new, old), sets)
        elif is_rolling(deployment):
            _roll(plan, deployment, new, old)
        else:
            _recreate(plan, observed, new, old)
        _clean_up(plan, deployment, new, old)
    # A size changed in this step counts in the report: unavailableReplicas must not lag behind what was just decided.
    changed = {rs["metadata"]["uid"]: rs for rs in plan.updates}
    everyone = [changed.get(rs["metadata"]["uid"], rs) for rs in sets]
    shown = changed.get(new["metadata"]["uid"], new) if new is not None else None
    plan.status, plan.again_seconds = plan_status(deployment, shown, everyone, observed.now, progress=plan.progress)
    return plan


def _clean_up(plan: DeploymentPlan, deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> None:
    settled = not (plan.create or plan.updates) and new is not None
    if settled and (deployment["spec"].get("paused") or is_complete(deployment, deployment.get("status") or {})):
        plan.deletes = plan_cleanup(deployment, old, lambda rs: number(rs, REVISION))


def _resize(plan: DeploymentPlan, deployment: Obj, sizes: Sizes, sets: Sequence[Obj]) -> None:
    surge, _ = surge_and_unavailable(deployment)
    annotations = size_annotations(replicas_of(deployment), surge)
    for rs in sets:
        size = sizes.get(rs["metadata"]["uid"], replicas_of(rs))
        stale = bool(size) and not annotations.items() <= annotations_of(rs).items()
        if size != replicas_of(rs) or stale:
            plan.updates.append(_sized(plan, rs, size, annotations))


def _sized(plan: DeploymentPlan, rs: Obj, size: int, annotations: Mapping[str, str]) -> Obj:
    before = replicas_of(rs)
    if size != before:
        verb = "up" if size > before else "down"
        plan.events.append(f"Scaled {verb} replica set {rs['metadata']['name']} from {before} to {size}")
    metadata = {**rs["metadata"], "annotations": {**annotations_of(rs), **annotations}}
    return {**rs, "metadata": metadata, "spec": {**rs["spec"], "replicas": size}}


def _roll(plan: DeploymentPlan, deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> None:
    if not _bring_up_new(plan, deployment, new, old) and new is not None:
        _resize(plan, deployment, sizes_of_old(deployment, new, old), old)


def _recreate(plan: DeploymentPlan, observed: Observed, new: Obj | None, old: Sequence[Obj]) -> None:
    sizes = {rs["metadata"]["uid"]: 0 for rs in old if replicas_of(rs)}
    if sizes:
        _resize(plan, observed.deployment, sizes, old)
    elif not observed.old_pods_remain:
        _bring_up_new(plan, observed.deployment, new, old)


def _bring_up_new(plan: DeploymentPlan, deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> bool:
    """Create the new ReplicaSet or bring it up to date; say whether pods will come or go by that."""
    surge, _ = surge_and_unavailable(deployment)
    size = size_of_new(deployment, new, old)
    sizes = size_annotations(replicas_of(deployment), surge)
    annotations = {**new_set_annotations(deployment, new, highest_revision(old) + 1), **sizes}
    plan.revision = annotations[REVISION]
    if new is None:
        plan.create = new_replica_set(deployment, size, annotations)
        name = plan.create["metadata"]["name"]
        plan.progress = {"reason": "NewReplicaSetCreated", "message": f'Created new replica set "{name}"'}
        if size:
            plan.events.append(f"Scaled up replica set {name} from 0 to {size}")
        return True
    name = new["metadata"]["name"]
    if find_condition((deployment.get("status") or {}).get("conditions"), PROGRESSING) is None:
        plan.progress = {"reason": "FoundNewReplicaSet", "message": f'Found new replica set "{name}"'}
    min_ready = deployment["spec"].get("minReadySeconds") or 0
    before = (annotations_of(new), replicas_of(new), new["spec"].get("minReadySeconds") or 0)
    if before == (annotations, size, min_ready):
        return False
    update = _sized(plan, new, size, annotations)
    update["spec"]["minReadySeconds"] = min_ready
    plan.updates.append(update)
    return size != replicas_of(new)
