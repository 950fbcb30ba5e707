"""Pods that want, or do not want, to be near other pods."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from windlass.plugin.interfaces.arrays import Mask, Scores
from windlass.plugin.interfaces.scheduler import (
    MAX_SCORE,
    SKIP,
    SUCCESS,
    NodeColumns,
    PluginStatus,
    PodInfo,
    PodRequirements,
    Rejection,
)
from windlass_scheduler.pod_selection import count_selected, selects, sum_by_domain

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
AFFINITY_REASON = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY_REASON = "node(s) didn't match pod anti-affinity rules"
EXISTING_REASON = "node(s) didn't satisfy existing pods anti-affinity rules"


def _terms(affinity: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    return affinity.get(key) or ()


def _existing_anti_terms(nodes: NodeColumns, pod: PodInfo) -> Iterator[tuple[PodRequirements, Mapping[str, Any]]]:
    """Yield the placed classes whose required anti-affinity selects the pod, with the term."""
    for other in nodes.anti_affinity_classes():
        for term in _terms(other.pod_anti_affinity, REQUIRED):
            if selects(term, other, nodes)(pod.requirements):
                yield other, term


class InterPodAffinity:
    """Filter: required affinity and anti-affinity, also of the pods that are there. Score: the preferred terms."""

    row_local = False

    def pre_filter(self, pod: PodInfo, nodes: NodeColumns) -> PluginStatus:
        """See `PreFilterPlugin`. Skips pods that neither have such terms nor are selected by a placed pod's."""
        requirements = pod.requirements
        if not requirements.pod_affinity and not requirements.pod_anti_affinity:
            return SKIP if next(_existing_anti_terms(nodes, pod), None) is None else SUCCESS
        return SUCCESS

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`."""
        lacks = self._lacks_affinity(pod, nodes)
        own = self._meets_own_anti(pod, nodes) & ~lacks
        existing = self._meets_existing_anti(pod, nodes) & ~lacks & ~own
        return [
            Rejection(AFFINITY_REASON, lacks, unresolvable=True),
            Rejection(ANTI_AFFINITY_REASON, own),
            Rejection(EXISTING_REASON, existing),
        ]

    def _lacks_affinity(self, pod: PodInfo, nodes: NodeColumns) -> Mask:
        terms = _terms(pod.requirements.pod_affinity, REQUIRED)
        lacks = np.zeros(nodes.size, dtype=np.bool_)
        if not terms:
            return lacks
        chosen = [selects(term, pod.requirements, nodes) for term in terms]
        counts = count_selected(nodes, lambda other: all(select(other) for select in chosen))
        # The first pod of a group that wants to be near its own kind may go anywhere that has the topology.
        first = not counts.any() and all(select(pod.requirements) for select in chosen)
        for term in terms:
            domains = nodes.label_codes(term["topologyKey"])
            lacks |= (domains < 0) if first else (sum_by_domain(counts, domains) == 0)
        return lacks

    def _meets_own_anti(self, pod: PodInfo, nodes: NodeColumns) -> Mask:
        meets = np.zeros(nodes.size, dtype=np.bool_)
        for term in _terms(pod.requirements.pod_anti_affinity, REQUIRED):
            counts = count_selected(nodes, selects(term, pod.requirements, nodes))
            meets |= sum_by_domain(counts, nodes.label_codes(term["topologyKey"])) > 0
        return meets

    def _meets_existing_anti(self, pod: PodInfo, nodes: NodeColumns) -> Mask:
        meets = np.zeros(nodes.size, dtype=np.bool_)
        for other, term in _existing_anti_terms(nodes, pod):
            meets |= sum_by_domain(nodes.class_counts(other), nodes.label_codes(term["topologyKey"])) > 0
        return meets

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """See `ScorePlugin`: weighted counts of selected pods in each node's domain, spread over 0..100."""
        total = np.zeros(nodes.size, dtype=np.float64)
        for affinity, sign in ((pod.requirements.pod_affinity, 1.0), (pod.requirements.pod_anti_affinity, -1.0)):
            for weighted in _terms(affinity, PREFERRED):
                term = weighted["podAffinityTerm"]
                counts = count_selected(nodes, selects(term, pod.requirements, nodes))
                total += sign * weighted["weight"] * sum_by_domain(counts, nodes.label_codes(term["topologyKey"]))
        low, high = (total.min(), total.max()) if nodes.size else (0.0, 0.0)
        return None if low == high else (total - low) * (MAX_SCORE / (high - low))
