"""Makes room for a pod by deleting pods of lower priority."""

from collections.abc import Sequence

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


def choose_victims(pod: PodInfo, node_name: str, cluster: Preview) -> Sequence[PodInfo] | None:
    """Return the fewest, least important pods whose going lets the pod fit; None when nothing does."""
    lower = [other for other in cluster.pods(node_name) if other.priority < pod.priority]
    if not lower or not cluster.fits(node_name, lower):
        return None
    victims = list(lower)
    # Reprieve the most important first, and of equals the oldest.
    for spared in sorted(lower, key=lambda other: (-other.priority, other.created, other.uid)):
        without = [other for other in victims if other is not spared]
        if cluster.fits(node_name, without):
            victims = without
    return victims


class DefaultPreemption:
    """Post-filter: the node whose most important victim matters least, then fewest victims."""

    def post_filter(self, pod: PodInfo, cluster: Preview) -> PostFilterResult | None:
        """See `PostFilterPlugin`."""
        total, candidates = cluster.total(), cluster.candidates()
        if (pod.obj.get("spec") or {}).get("preemptionPolicy") == "Never":
            return PostFilterResult(message="preemption: not eligible due to preemptionPolicy=Never.")
        if _waits_for_victims(pod, cluster):
            return PostFilterResult(message="preemption: not eligible due to terminating pod on the nominated node.")
        best: tuple[tuple[int, int, int, str], Sequence[PodInfo]] | None = None
        found = 0
        for node_name in candidates:
            victims = choose_victims(pod, node_name, cluster)
            if not victims:
                continue
            priorities = [victim.priority for victim in victims]
            rank = (max(priorities), sum(priorities), len(victims), node_name)
            best = min(best, (rank, victims), key=lambda each: each[0]) if best else (rank, victims)
            found += 1
            if found >= MAX_CANDIDATES:
                break
        if best is not None:
            going = [victim for victim in best[1] if not _is_terminating(victim)]
            return PostFilterResult(node_name=best[0][3], victims=going)
        return PostFilterResult(message=self._why_not(total, len(candidates)))

    def _why_not(self, total: int, candidates: int) -> str:
        reasons = []
        if candidates:
            reasons.append(f"{candidates} No preemption victims found for incoming pod")
        if total - candidates:
            reasons.append(f"{total - candidates} Preemption is not helpful for scheduling")
        return f"preemption: 0/{total} nodes are available: {', '.join(sorted(reasons))}."
