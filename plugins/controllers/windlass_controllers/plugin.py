"""Hands out the built-in controllers."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.interfaces.controller import ControllerRegistration


class ControllersSchema(Schema):
    """The section `windlass-controllers`."""

    cluster_cidrs = fields.List(fields.String(), metadata={"description": "Ranges of all pods, one for each family."})

    @validates("cluster_cidrs")
    def check_cluster_cidrs(self, value: Sequence[str], **_: Any) -> None:
        """Refuse what nodes could get nothing from."""
        try:
            networks = [ipaddress.ip_network(cidr) for cidr in value]
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if not value or len({network.version for network in networks}) != len(networks):
            raise ValidationError("want one range for each family")
        small = [str(n) for n in networks if n.prefixlen > (24 if n.version == 4 else 64)]
        if small:
            raise ValidationError(f"{small[0]} is smaller than one node's part")


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the controllers' section."""
    return {"section": "windlass-controllers", "schema": ControllersSchema}


@hookimpl
def register_controllers() -> Sequence[ControllerRegistration]:
    """Return the controllers under Kubernetes' names."""
    # The client comes with these modules, so they are imported only in the process that controls.
    from windlass_controllers.cronjob.controller import CronJobController  # noqa: PLC0415
    from windlass_controllers.daemonset.controller import DaemonSetController  # noqa: PLC0415
    from windlass_controllers.deployment.controller import DeploymentController  # noqa: PLC0415
    from windlass_controllers.disruption.controller import DisruptionController  # noqa: PLC0415
    from windlass_controllers.endpoints.controller import EndpointsController  # noqa: PLC0415
    from windlass_controllers.endpointslice.controller import EndpointSliceController  # noqa: PLC0415
    from windlass_controllers.endpointslicemirroring.controller import (  # noqa: PLC0415
        EndpointSliceMirroringController,
    )
    from windlass_controllers.ephemeralvolume.controller import EphemeralVolumeController  # noqa: PLC0415
    from windlass_controllers.garbagecollector.controller import GarbageCollector  # noqa: PLC0415
    from windlass_controllers.job.controller import JobController  # noqa: PLC0415
    from windlass_controllers.namespace.controller import NamespaceController  # noqa: PLC0415
    from windlass_controllers.nodeipam.controller import NodeIpamController  # noqa: PLC0415
    from windlass_controllers.nodelifecycle.controller import NodeLifecycleController  # noqa: PLC0415
    from windlass_controllers.persistentvolume.controller import PersistentVolumeBinder  # noqa: PLC0415
    from windlass_controllers.podgc.controller import PodGcController  # noqa: PLC0415
    from windlass_controllers.replicaset.controller import ReplicaSetController  # noqa: PLC0415
    from windlass_controllers.replicationcontroller.controller import (  # noqa: PLC0415
        ReplicationControllerController,
    )
    from windlass_controllers.resourcequota.controller import ResourceQuotaController  # noqa: PLC0415
    from windlass_controllers.rootcapublisher.controller import RootCaPublisher  # noqa: PLC0415
    from windlass_controllers.serviceaccount.controller import ServiceAccountController  # noqa: PLC0415
    from windlass_controllers.statefulset.controller import StatefulSetController  # noqa: PLC0415
    from windlass_controllers.storageprotection.controller import ClaimProtection, VolumeProtection  # noqa: PLC0415
    from windlass_controllers.tainteviction.controller import TaintEvictionController  # noqa: PLC0415
    from windlass_controllers.ttlafterfinished.controller import TtlAfterFinishedController  # noqa: PLC0415

    return (
        ControllerRegistration("cronjob", CronJobController),
        ControllerRegistration("daemonset", DaemonSetController),
        ControllerRegistration("deployment", DeploymentController),
        ControllerRegistration("disruption", DisruptionController),
        ControllerRegistration("endpoints", EndpointsController),
        ControllerRegistration("endpointslice", EndpointSliceController),
        ControllerRegistration("endpointslicemirroring", EndpointSliceMirroringController),
        ControllerRegistration("ephemeral-volume", EphemeralVolumeController),
        ControllerRegistration("garbagecollector", GarbageCollector),
        ControllerRegistration("job", JobController),
        ControllerRegistration("namespace", NamespaceController),
        ControllerRegistration("nodeipam", NodeIpamController),
        ControllerRegistration("nodelifecycle", NodeLifecycleController),
        ControllerRegistration("persistentvolume-binder", PersistentVolumeBinder),
        ControllerRegistration("persistentvolume-protection", VolumeProtection),
        ControllerRegistration("persistentvolumeclaim-protection", ClaimProtection),
        ControllerRegistration("podgc", PodGcController),
        ControllerRegistration("replicaset", ReplicaSetController),
        ControllerRegistration("replicationcontroller", ReplicationControllerController),
        ControllerRegistration("resourcequota", ResourceQuotaController),
        ControllerRegistration("root-ca-certificate-publisher", RootCaPublisher),
        ControllerRegistration("serviceaccount", ServiceAccountController),
        ControllerRegistration("statefulset", StatefulSetController),
        ControllerRegistration("tainteviction", TaintEvictionController),
        ControllerRegistration("ttlafterfinished", TtlAfterFinishedController),
    )
