"""Hands out the built-in controllers."""

from collections.abc import Sequence

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.interfaces.controller import ControllerRegistration
from windlass_controllers.deployment.controller import DeploymentController
from windlass_controllers.garbagecollector.controller import GarbageCollector
from windlass_controllers.namespace.controller import NamespaceController
from windlass_controllers.nodelifecycle.controller import NodeLifecycleController
from windlass_controllers.podgc.controller import PodGcController
from windlass_controllers.replicaset.controller import ReplicaSetController
from windlass_controllers.tainteviction.controller import TaintEvictionController


@hookimpl
def register_controllers() -> Sequence[ControllerRegistration]:
    """Return the controllers under Kubernetes' names."""
    return (
        ControllerRegistration("deployment", DeploymentController),
        ControllerRegistration("garbagecollector", GarbageCollector),
        ControllerRegistration("namespace", NamespaceController),
        ControllerRegistration("nodelifecycle", NodeLifecycleController),
        ControllerRegistration("podgc", PodGcController),
        ControllerRegistration("replicaset", ReplicaSetController),
        ControllerRegistration("tainteviction", TaintEvictionController),
    )
