"""Hands out the built-in controllers."""

from collections.abc import Sequence

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.interfaces.controller import ControllerRegistration


@hookimpl
def register_controllers() -> Sequence[ControllerRegistration]:
    """Return the controllers under Kubernetes' names."""
    # The client comes with these modules, so they are imported only in the process that controls.
    from windlass_controllers.cronjob.controller import CronJobController  # noqa: PLC0415
    from windlass_controllers.daemonset.controller import DaemonSetController  # noqa: PLC0415
    from windlass_controllers.deployment.controller import DeploymentController  # noqa: PLC0415
    from windlass_controllers.endpoints.controller import EndpointsController  # noqa: PLC0415
    from windlass_controllers.endpointslice.controller import EndpointSliceController  # noqa: PLC0415
    from windlass_controllers.endpointslicemirroring.controller import (  # noqa: PLC0415
        EndpointSliceMirroringController,
    )
    from windlass_controllers.garbagecollector.controller import GarbageCollector  # noqa: PLC0415
    from windlass_controllers.job.controller import JobController  # noqa: PLC0415
    from windlass_controllers.namespace.controller import NamespaceController  # noqa: PLC0415
    from windlass_controllers.nodelifecycle.controller import NodeLifecycleController  # noqa: PLC0415
    from windlass_controllers.podgc.controller import PodGcController  # noqa: PLC0415
    from windlass_controllers.replicaset.controller import ReplicaSetController  # noqa: PLC0415
    from windlass_controllers.rootcapublisher.controller import RootCaPublisher  # noqa: PLC0415
    from windlass_controllers.serviceaccount.controller import ServiceAccountController  # noqa: PLC0415
    from windlass_controllers.statefulset.controller import StatefulSetController  # noqa: PLC0415
    from windlass_controllers.tainteviction.controller import TaintEvictionController  # noqa: PLC0415
    from windlass_controllers.ttlafterfinished.controller import TtlAfterFinishedController  # noqa: PLC0415

    return (
        ControllerRegistration("cronjob", CronJobController),
        ControllerRegistration("daemonset", DaemonSetController),
        ControllerRegistration("deployment", DeploymentController),
        ControllerRegistration("endpoints", EndpointsController),
        ControllerRegistration("endpointslice", EndpointSliceController),
        ControllerRegistration("endpointslicemirroring", EndpointSliceMirroringController),
        ControllerRegistration("garbagecollector", GarbageCollector),
        ControllerRegistration("job", JobController),
        ControllerRegistration("namespace", NamespaceController),
        ControllerRegistration("nodelifecycle", NodeLifecycleController),
        ControllerRegistration("podgc", PodGcController),
        ControllerRegistration("replicaset", ReplicaSetController),
        ControllerRegistration("root-ca-certificate-publisher", RootCaPublisher),
        ControllerRegistration("serviceaccount", ServiceAccountController),
        ControllerRegistration("statefulset", StatefulSetController),
        ControllerRegistration("tainteviction", TaintEvictionController),
        ControllerRegistration("ttlafterfinished", TtlAfterFinishedController),
    )
