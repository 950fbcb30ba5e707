"""Scheduler plugins for authors who would rather write a function of one node than of columns."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from windlass.plugin.interfaces.arrays import Mask, Scores
from windlass.plugin.interfaces.scheduler import MAX_SCORE, NodeColumns, NodeInfo, PodInfo, Rejection

NodeFilter: TypeAlias = Callable[[PodInfo, NodeInfo], str | None]
NodeScore: TypeAlias = Callable[[PodInfo, NodeInfo], float]


class PerNodeFilter:
    """A `filter` plugin made of a function that returns None when the node fits, or why it does not."""

    def __init__(self, function: NodeFilter) -> None:
        self._function = function

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """Ask the function about each row and group its answers by reason."""
        rows: dict[str, Mask] = {}
        for row, node in enumerate(nodes.node_infos()):
            reason = self._function(pod, node)
            if reason is not None:
                rows.setdefault(reason, np.zeros(nodes.size, dtype=np.bool_))[row] = True
        return [Rejection(reason, mask) for reason, mask in rows.items()]


class PerNodeScore:
    """A `score` plugin made of a function that returns 0 to 100; what lies outside is clipped."""

    def __init__(self, function: NodeScore) -> None:
        self._function = function

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores:
        """Ask the function about each row."""
        values = np.fromiter((self._function(pod, node) for node in nodes.node_infos()), np.float64, nodes.size)
        return np.clip(values, 0.0, MAX_SCORE)


def per_node_filter(function: NodeFilter) -> PerNodeFilter:
    """Adapt `function(pod, node) -> reason | None`; it may depend on its two arguments only."""
    return PerNodeFilter(function)


def per_node_score(function: NodeScore) -> PerNodeScore:
    """Adapt `function(pod, node) -> 0..100`; it may depend on its two arguments only."""
    return PerNodeScore(function)
