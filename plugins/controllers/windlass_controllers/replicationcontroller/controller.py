"""Keeps as many pods alive as each ReplicationController wants, exactly as for a ReplicaSet."""

from typing import Any

from windlass.apis.resources import REPLICATIONCONTROLLERS
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.replicaset.controller import ReplicaKind, ReplicaSetController

Obj = dict[str, Any]


def as_replica_set(replication_controller: Obj) -> Obj:
    """Show the map of labels as a ReplicaSet's selector; everything else has the same names. An empty map selects nothing."""
    spec = replication_controller["spec"]
    labels = spec.get("selector")
    selector = {"matchLabels": labels} if labels else None
    return {**replication_controller, "spec": {**spec, "selector": selector}}


REPLICATION_CONTROLLER = ReplicaKind(
    "replicationcontroller", "ReplicationController", REPLICATIONCONTROLLERS, as_replica_set
)


class ReplicationControllerController(ReplicaSetController):
    """One key is one ReplicationController."""

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context, REPLICATION_CONTROLLER)
