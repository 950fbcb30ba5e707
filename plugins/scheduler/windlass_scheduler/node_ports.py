"""Keeps pods apart that claim the same port of a node."""

from collections.abc import Sequence

from windlass.plugin.interfaces.scheduler import NodeColumns, PodInfo, Rejection

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts:
    """Filter: host ports, by protocol, number and address, 0.0.0.0 standing for every address."""

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`."""
        ports = pod.requirements.host_ports
        return (Rejection(REASON, nodes.host_port_conflicts(ports)),) if ports else ()
