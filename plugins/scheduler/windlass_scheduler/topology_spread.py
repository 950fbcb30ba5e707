"""`topologySpreadConstraints`: how unequal the counts of pods in a topology's domains may become."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from windlass.plugin.interfaces.arrays import Counts, Mask, Scores
from windlass.plugin.interfaces.scheduler import (
    MAX_SCORE,
    SKIP,
    SUCCESS,
    NodeColumns,
    PluginStatus,
    PodInfo,
    Rejection,
)
from windlass_scheduler.node_affinity import matches_required
from windlass_scheduler.pod_selection import count_selected, selects, sum_by_domain
from windlass_scheduler.taint_toleration import TaintToleration

SKEW_REASON = "node(s) didn't match pod topology spread constraints"
LABEL_REASON = "node(s) didn't match pod topology spread constraints (missing required label)"


def _constraints(pod: PodInfo, what: str) -> list[Mapping[str, Any]]:
    wanted = pod.requirements.topology_spread_constraints
    return [constraint for constraint in wanted if constraint["whenUnsatisfiable"] == what]


def _counted_nodes(pod: PodInfo, nodes: NodeColumns, constraint: Mapping[str, Any]) -> Mask:
    """Say which nodes' pods count and whose domains exist, by the constraint's inclusion policies."""
    counted: Mask = np.ones(nodes.size, dtype=np.bool_)
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor":
        matching = matches_required(pod, nodes)
        if matching is not None:
            counted &= matching
    if constraint.get("nodeTaintsPolicy", "Ignore") == "Honor":
        for rejection in TaintToleration().filter(pod, nodes):
            counted &= ~rejection.rows
    return counted


class PodTopologySpread:
    """Filter: constraints that say DoNotSchedule. Score: those that say ScheduleAnyway."""

    row_local = False

    def pre_filter(self, pod: PodInfo, _nodes: NodeColumns) -> PluginStatus:
        """See `PreFilterPlugin`. Skips pods without constraints."""
        return SUCCESS if pod.requirements.topology_spread_constraints else SKIP

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`."""
        hard = _constraints(pod, "DoNotSchedule")
        lacks_label = np.zeros(nodes.size, dtype=np.bool_)
        for constraint in hard:
            lacks_label |= nodes.label_codes(constraint["topologyKey"]) < 0
        too_skewed = np.zeros(nodes.size, dtype=np.bool_)
        for constraint in hard:
            counted = _counted_nodes(pod, nodes, constraint) & ~lacks_label
            too_skewed |= self._skewed(pod, nodes, constraint, counted)
        return [
            Rejection(LABEL_REASON, lacks_label, unresolvable=True),
            Rejection(SKEW_REASON, too_skewed & ~lacks_label),
        ]

    def _counts(self, pod: PodInfo, nodes: NodeColumns, constraint: Mapping[str, Any], counted: Mask) -> Counts:
        term = {key: constraint.get(key) for key in ("labelSelector", "matchLabelKeys")}
        return count_selected(nodes, selects(term, pod.requirements, nodes)) * counted

    def _skewed(self, pod: PodInfo, nodes: NodeColumns, constraint: Mapping[str, Any], counted: Mask) -> Mask:
        domains = nodes.label_codes(constraint["topologyKey"])
        sums = sum_by_domain(self._counts(pod, nodes, constraint, counted), domains)
        present = np.unique(domains[counted])
        least = int(sums[counted].min()) if len(present) else 0
        if len(present) < (constraint.get("minDomains") or 1):
            least = 0
        term = {key: constraint.get(key) for key in ("labelSelector", "matchLabelKeys")}
        itself = 1 if selects(term, pod.requirements, nodes)(pod.requirements) else 0
        skewed: Mask = sums + itself - least > constraint["maxSkew"]
        return skewed

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """See `ScorePlugin`: fewer selected pods in the node's domains are better; a node without the label gets 0."""
        soft = _constraints(pod, "ScheduleAnyway")
        if not soft:
            return None
        total = np.zeros(nodes.size, dtype=np.float64)
        lacks_label = np.zeros(nodes.size, dtype=np.bool_)
        for constraint in soft:
            domains = nodes.label_codes(constraint["topologyKey"])
            lacks_label |= domains < 0
            counts = self._counts(pod, nodes, constraint, _counted_nodes(pod, nodes, constraint))
            total += sum_by_domain(counts, domains)
        scores: Scores = MAX_SCORE * (1.0 - total / max(float(total.max(initial=0.0)), 1.0))
        scores[lacks_label] = 0.0
        return scores
