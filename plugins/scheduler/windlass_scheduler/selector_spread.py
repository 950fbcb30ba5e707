"""Spreads the pods of one controller."""

import numpy as np

from windlass.plugin.interfaces.arrays import Scores
from windlass.plugin.interfaces.scheduler import MAX_SCORE, NodeColumns, PodInfo


class SelectorSpread:
    """Score: 100 on nodes without pods of the pod's controller, 50 with one, 33 with two, ...

    Upstream divides by the largest count in the cluster; this needs no other row, and orders nodes the same way.
    """

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """See `ScorePlugin`."""
        owner_uid = pod.requirements.owner_uid
        if not owner_uid:
            return None
        scores: Scores = MAX_SCORE / (1.0 + nodes.owner_pods(owner_uid).astype(np.float64))
        return scores
