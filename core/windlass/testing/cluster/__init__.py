"""A whole cluster inside the process of a test: see `windlass.testing.cluster.cluster`."""

from windlass.testing.cluster.cluster import InProcessCluster
from windlass.testing.cluster.faults import ApiFaults, Fault
from windlass.testing.cluster.options import ClusterOptions

__all__ = ["ApiFaults", "ClusterOptions", "Fault", "InProcessCluster"]
