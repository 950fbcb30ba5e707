"""Keeps pods off nodes whose taints they do not tolerate, and prefers nodes with fewer soft ones."""

from collections.abc import Sequence

import numpy as np

from windlass.plugin.interfaces.arrays import Scores
from windlass.plugin.interfaces.scheduler import MAX_SCORE, NodeColumns, PodInfo, Rejection, Taint, Toleration

_HARD = frozenset({"NoSchedule", "NoExecute"})


def _tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)


def _first_untolerated(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    hard = (taint for taint in taints if taint.effect in _HARD)
    return next((taint for taint in hard if not _tolerated(taint, tolerations)), None)


class TaintToleration:
    """Filter: NoSchedule and NoExecute taints. Score: 100 without untolerated PreferNoSchedule taints, else less."""

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`. One reason per taint: the node's first that is not tolerated."""
        tolerations = pod.requirements.tolerations
        by_reason: dict[str, list[int]] = {}
        for code, taints in enumerate(nodes.taint_sets()):
            taint = _first_untolerated(taints, tolerations)
            if taint is not None:
                by_reason.setdefault(f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}", []).append(code)
        if not by_reason:
            return ()
        codes = nodes.taint_set_codes()
        return [Rejection(reason, np.isin(codes, sets), unresolvable=True) for reason, sets in by_reason.items()]

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """See `ScorePlugin`."""
        # Upstream ignores tolerations of other effects here; `tolerates` looks at the effect itself.
        tolerations = pod.requirements.tolerations
        counts = [
            sum(taint.effect == "PreferNoSchedule" and not _tolerated(taint, tolerations) for taint in taints)
            for taints in nodes.taint_sets()
        ]
        if not any(counts):
            return None
        by_code: Scores = MAX_SCORE / (1.0 + np.array(counts, dtype=np.float64))
        return by_code[nodes.taint_set_codes()]
