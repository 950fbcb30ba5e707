"""Requests against what nodes can give: what fits, and where it fits best."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from windlass.plugin.interfaces.arrays import Scores
from windlass.plugin.interfaces.scheduler import MAX_SCORE, NodeColumns, PodInfo, Rejection

CPU, MEMORY = "cpu", "memory"


class NodeResourcesFit:
    """Filter: every requested resource and the number of pods. Score: the share of cpu and memory left free.

    Option `scoring_strategy`: `LeastAllocated` (default: spread) or `MostAllocated` (fill nodes up).
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        strategy = (options or {}).get("scoring_strategy", "LeastAllocated")
        if strategy not in {"LeastAllocated", "MostAllocated"}:
            raise ValueError(f"scoring_strategy must be LeastAllocated or MostAllocated, not {strategy!r}")
        self._most = strategy == "MostAllocated"

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`. What is more than a node has at all is unresolvable there."""
        rejections = [Rejection("Too many pods", nodes.pod_counts() >= nodes.allowed_pods())]
        for resource, amount in pod.requirements.requests.items():
            if amount > 0:
                allocatable = nodes.allocatable(resource)
                reason = f"Insufficient {resource}"
                never = allocatable < amount
                rejections.append(Rejection(reason, (nodes.requested(resource) > allocatable - amount) & ~never))
                rejections.append(Rejection(reason, never, unresolvable=True))
        return rejections

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores:
        """See `ScorePlugin`. The pod itself is counted in."""
        shares = [self._free_share(pod, nodes, resource) for resource in (CPU, MEMORY)]
        free: Scores = (shares[0] + shares[1]) * (MAX_SCORE / 2)
        return MAX_SCORE - free if self._most else free

    def _free_share(self, pod: PodInfo, nodes: NodeColumns, resource: str) -> Scores:
        allocatable = nodes.allocatable(resource)
        used = nodes.nonzero_requested(resource) + pod.requirements.nonzero_requests.get(resource, 0)
        share: Scores = np.maximum(allocatable - used, 0) / np.maximum(allocatable, 1)
        return share


class NodeResourcesBalancedAllocation:
    """Score: how equally cpu and memory would be used with the pod."""

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores:
        """See `ScorePlugin`: 100 less the deviation between the two used shares."""
        cpu, memory = (self._used_share(pod, nodes, resource) for resource in (CPU, MEMORY))
        score: Scores = MAX_SCORE - np.abs(cpu - memory) * (MAX_SCORE / 2)
        return score

    def _used_share(self, pod: PodInfo, nodes: NodeColumns, resource: str) -> Scores:
        used = nodes.requested(resource) + pod.requirements.requests.get(resource, 0)
        share: Scores = np.minimum(used / np.maximum(nodes.allocatable(resource), 1), 1.0)
        return share
