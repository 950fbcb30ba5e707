"""What a DaemonSet needs: pods for nodes that lack one, none where it does not belong, new ones for old. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass_controllers.daemonset.nodes import node_of, node_verdict
from windlass_controllers.pods import is_ready, phase_of, seconds_until_available
from windlass_controllers.revisions import HASH_LABEL

Obj = dict[str, Any]
BURST = 250


@dataclass(slots=True)
class DaemonPlan:
    """Create a pod on each of those nodes; delete those pods. `failed` are among them and were Failed."""

    create: list[str] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)


@dataclass(slots=True)
class NodeView:
    """One node and the live pods of the set on it."""

    name: str
    should_run: bool
    may_stay: bool
    pods: list[Obj]


def view_nodes(
    daemon_set: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]], pods: Iterable[Obj]
) -> list[NodeView]:
    """Sort the set's pods by node. Pods of nodes that are gone belong to a view that wants none."""
    by_node: dict[str, list[Obj]] = defaultdict(list)
    for pod in pods:
        by_node[node_of(pod)].append(pod)
    spec = daemon_set["spec"]["template"].get("spec") or {}
    views = []
    for node in nodes:
        name = node["metadata"]["name"]
        should_run, may_stay = node_verdict(spec, node)
        views.append(NodeView(name, should_run, may_stay, by_node.pop(name, [])))
    views += [NodeView(name, should_run=False, may_stay=False, pods=found) for name, found in by_node.items() if name]
    return sorted(views, key=lambda view: view.name)


def bounds(daemon_set: Mapping[str, Any], desired: int) -> tuple[int, int]:
    """Return maxUnavailable and maxSurge in nodes, rounded up; never both zero. OnDelete has neither."""
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    unavailable, surge = (
        _resolve(rolling.get(name, default), desired) for name, default in (("maxUnavailable", 1), ("maxSurge", 0))
    )
    return (max(unavailable, 0 if surge else 1), surge)


def _resolve(value: Any, whole: int) -> int:
    return math.ceil(int(value.removesuffix("%")) * whole / 100) if isinstance(value, str) else int(value)


def is_new(pod: Mapping[str, Any], revision_hash: str) -> bool:
    """Say whether a pod is of the present template."""
    return bool((pod["metadata"].get("labels") or {}).get(HASH_LABEL) == revision_hash)


def plan_daemons(
    daemon_set: Mapping[str, Any], views: Sequence[NodeView], revision_hash: str, now: datetime
) -> DaemonPlan:
    """Return what to do now. At most 250 pods are created at a time."""
    plan = DaemonPlan()
    wanting = [view for view in views if view.should_run]
    unavailable, surge = bounds(daemon_set, len(wanting))
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    round_ = _Round(daemon_set, revision_hash, now)
    for view in views:
        round_.place(view, plan, surging=bool(surge))
    if rolling and surge:
        round_.with_surge(wanting, surge, plan)
    elif rolling:
        round_.in_place(wanting, unavailable, plan)
    plan.create = plan.create[:BURST]
    return plan


def _live(view: NodeView) -> list[Obj]:
    return [pod for pod in view.pods if not is_being_deleted(pod)]


@dataclass(frozen=True, slots=True)
class _Round:
    """One look at all nodes."""

    daemon_set: Mapping[str, Any]
    revision_hash: str
    now: datetime

    def _available(self, pod: Mapping[str, Any]) -> bool:
        seconds = int(self.daemon_set["spec"].get("minReadySeconds") or 0)
        return seconds_until_available(pod, seconds, self.now) == 0

    def place(self, view: NodeView, plan: DaemonPlan, *, surging: bool) -> None:
        """One pod where one belongs, none elsewhere; a failed one goes and is made anew.

        Of several, one that works stays, of these the newest template's, of these the oldest. While a surge runs one
        of each template may be there.
        """
        alive = _live(view)
        failed = [pod for pod in alive if phase_of(pod) == "Failed"]
        running = sorted((pod for pod in alive if pod not in failed), key=self._rank)
        plan.failed += failed
        plan.delete += failed
        if not view.should_run and not view.may_stay:
            plan.delete += running
        elif surging:
            new = [pod for pod in running if is_new(pod, self.revision_hash)]
            old = [pod for pod in running if pod not in new]
            plan.delete += new[1:] + old[1:]
        else:
            plan.delete += running[1:]
        if view.should_run and not view.pods:
            plan.create.append(view.name)

    def _rank(self, pod: Mapping[str, Any]) -> tuple[bool, bool, str]:
        age = str(pod["metadata"].get("creationTimestamp") or "")
        return not self._available(pod), not is_new(pod, self.revision_hash), age

    def in_place(self, views: Sequence[NodeView], max_unavailable: int, plan: DaemonPlan) -> None:
        """Delete old pods: those that do not work at once, others as far as enough stay available."""
        broken: list[Obj] = []
        working: list[Obj] = []
        missing = 0
        for view in views:
            alive = [pod for pod in _live(view) if pod not in plan.delete]
            if not any(self._available(pod) for pod in alive):
                missing += 1
            for pod in alive:
                if not is_new(pod, self.revision_hash):
                    (working if self._available(pod) else broken).append(pod)
        plan.delete += broken
        plan.delete += working[: max(0, max_unavailable - missing)]

    def with_surge(self, views: Sequence[NodeView], max_surge: int, plan: DaemonPlan) -> None:
        """Make the new pod beside the old one; the old one goes when the new one is available."""
        surging = 0
        waiting: list[str] = []
        for view in views:
            alive = [pod for pod in _live(view) if pod not in plan.delete]
            old = [pod for pod in alive if not is_new(pod, self.revision_hash)]
            new = [pod for pod in alive if is_new(pod, self.revision_hash)]
            if not old:
                continue
            if new:
                if self._available(new[0]):
                    plan.delete += old
                else:
                    surging += 1
            elif not self._available(old[0]):
                plan.create.append(view.name)
            elif len(view.pods) == len(alive):
                waiting.append(view.name)
        plan.create += waiting[: max(0, max_surge - surging)]


def plan_status(
    daemon_set: Mapping[str, Any], views: Sequence[NodeView], revision_hash: str, now: datetime
) -> tuple[Obj, float | None]:
    """Return the status, and in how many seconds a pod becomes available just by waiting (None: none will)."""
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    counts = dict.fromkeys(("desired", "current", "mis", "ready", "available", "updated"), 0)
    waits: list[float] = []
    for view in views:
        alive = _live(view)
        if not view.should_run:
            counts["mis"] += bool(alive)
            continue
        counts["desired"] += 1
        if not alive:
            continue
        counts["current"] += 1
        until = [seconds_until_available(pod, seconds, now) for pod in alive]
        counts["ready"] += any(is_ready(pod) for pod in alive)
        counts["available"] += 0 in until
        counts["updated"] += any(is_new(pod, revision_hash) for pod in alive)
        waits += [wait for wait in until if wait]
    status: Obj = {
        "currentNumberScheduled": counts["current"],
        "desiredNumberScheduled": counts["desired"],
        "numberMisscheduled": counts["mis"],
        "numberReady": counts["ready"],
        "numberAvailable": counts["available"],
        "numberUnavailable": counts["desired"] - counts["available"],
        "updatedNumberScheduled": counts["updated"],
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
    }
    before = daemon_set.get("status") or {}
    status |= {key: before[key] for key in ("collisionCount", "conditions") if before.get(key)}
    return status, min(waits, default=None)
