"""Makes room for a pod by deleting pods of lower priority."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.apis.policy.v1 import covers
from windlass.plugin.interfaces.scheduler import PodInfo, PostFilterResult, Preview

MAX_CANDIDATES = 32
"""How many nodes are tried: enough for a good choice, bounded in big clusters."""


def _is_terminating(pod: PodInfo) -> bool:
    return bool(pod.obj["metadata"].get("deletionTimestamp"))


def _waits_for_victims(pod: PodInfo, cluster: Preview) -> bool:
    """Say whether the pod has preempted already and its victims have not gone yet."""
    nominated = str((pod.obj.get("status") or {}).get("nominatedNodeName", ""))
    return nominated in cluster.candidates() and any(
        _is_terminating(other) and other.priority < pod.priority for other in cluster.pods(nominated)
    )


@dataclass(frozen=True, slots=True)
class Victims:
    """Pods whose going lets another fit, and how many of them their disruption budgets would rather keep."""

    pods: Sequence[PodInfo]
    violations: int = 0


def choose_victims(pod: PodInfo, node_name: str, cluster: Preview) -> Victims | None:
    """Return the fewest, least important pods whose going lets the pod fit; None when nothing does."""
    lower = [other for other in cluster.pods(node_name) if other.priority < pod.priority]
    if not lower or not cluster.fits(node_name, lower):
        return None
    # Reprieve those whose budget would be broken first; then the most important, and of equals the oldest.
    lower.sort(key=lambda other: (-other.priority, other.created, other.uid))
    broken = violating(lower, cluster.disruption_budgets())
    victims = list(lower)
    for spared in sorted(lower, key=lambda other: other.uid not in broken):
        without = [other for other in victims if other is not spared]
        if cluster.fits(node_name, without):
            victims = without
    return Victims(victims, sum(victim.uid in broken for victim in victims))


def violating(pods: Sequence[PodInfo], budgets: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the uids of the pods whose going, in this order, would break a disruption budget.

    A pod whose eviction was granted already, or that is going, has been paid for.
    """
    left = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in budgets]
    broken: set[str] = set()
    for pod in pods:
        if _is_terminating(pod):
            continue
        for index, budget in enumerate(budgets):
            if not covers(budget, pod.obj) or pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            left[index] -= 1
            if left[index] < 0:
                broken.add(pod.uid)
    return broken


class DefaultPreemption:
    """Post-filter: the node where fewest budgets break, whose most important victim matters least, then fewest victims."""

    def post_filter(self, pod: PodInfo, cluster: Preview) -> PostFilterResult | None:
        """See `PostFilterPlugin`."""
        total, candidates = cluster.total(), cluster.candidates()
        if (pod.obj.get("spec") or {}).get("preemptionPolicy") == "Never":
            return PostFilterResult(message="preemption: not eligible due to preemptionPolicy=Never.")
        if _waits_for_victims(pod, cluster):
            return PostFilterResult(message="preemption: not eligible due to terminating pod on the nominated node.")
        best: tuple[tuple[int, int, int, int, str], Sequence[PodInfo]] | None = None
        found = 0
        for node_name in candidates:
            victims = choose_victims(pod, node_name, cluster)
            if victims is None or not victims.pods:
                continue
            priorities = [victim.priority for victim in victims.pods]
            rank = (victims.violations, max(priorities), sum(priorities), len(priorities), node_name)
            best = min(best, (rank, victims.pods), key=lambda each: each[0]) if best else (rank, victims.pods)
            found += 1
            if found >= MAX_CANDIDATES:
                break
        if best is not None:
            going = [victim for victim in best[1] if not _is_terminating(victim)]
            return PostFilterResult(node_name=best[0][-1], victims=going)
        return PostFilterResult(message=self._why_not(total, len(candidates)))

    def _why_not(self, total: int, candidates: int) -> str:
        reasons = []
        if candidates:
            reasons.append(f"{candidates} No preemption victims found for incoming pod")
        if total - candidates:
            reasons.append(f"{total - candidates} Preemption is not helpful for scheduling")
        return f"preemption: 0/{total} nodes are available: {', '.join(sorted(reasons))}."
