"""Keeps pods off cordoned nodes."""

from collections.abc import Sequence

from windlass.plugin.interfaces.scheduler import NodeColumns, PodInfo, Rejection, Taint

UNSCHEDULABLE_TAINT = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
REASON = "node(s) were unschedulable"


class NodeUnschedulable:
    """Filter: `spec.unschedulable`, unless the pod tolerates the taint that stands for it."""

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`."""
        if any(toleration.tolerates(UNSCHEDULABLE_TAINT) for toleration in pod.requirements.tolerations):
            return ()
        return (Rejection(REASON, nodes.unschedulable(), unresolvable=True),)
