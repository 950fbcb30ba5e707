"""Registers the built-in admission plugins, by the same road as a third party's. The order is the order of calls."""

from collections.abc import Sequence

from windlass.admission.limit_ranger import LimitRanger
from windlass.admission.namespace_lifecycle import NamespaceLifecycle
from windlass.admission.node_restriction import NodeRestriction
from windlass.admission.pod_defaults import DefaultServiceAccount, DefaultTolerations, Priority
from windlass.admission.runtime_class import RuntimeClass
from windlass.admission.storage import DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection
from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration


@hookimpl
def register_admission_plugins() -> Sequence[DriverRegistration]:
    """Hand out the built-in plugins under Kubernetes' names."""
    return (
        DriverRegistration("NamespaceLifecycle", lambda _: NamespaceLifecycle(), "namespaces exist and are not ending"),
        DriverRegistration("NodeRestriction", lambda _: NodeRestriction(), "a node writes only its own objects"),
        DriverRegistration(
            "ServiceAccount", lambda _: DefaultServiceAccount(), "pods run as `default` unless they say"
        ),
        DriverRegistration("Priority", lambda _: Priority(), "priorityClassName becomes a number"),
        DriverRegistration("RuntimeClass", lambda _: RuntimeClass(), "runtimeClassName brings its overhead and nodes"),
        DriverRegistration("DefaultTolerationSeconds", lambda _: DefaultTolerations(), "300 s on a lost node"),
        DriverRegistration("LimitRanger", lambda _: LimitRanger(), "LimitRanges give defaults and hold bounds"),
        DriverRegistration("DefaultStorageClass", lambda _: DefaultStorageClass(), "claims that name no class get one"),
        DriverRegistration(
            "PersistentVolumeClaimResize", lambda _: PersistentVolumeClaimResize(), "claims grow where their class allows"
        ),
        DriverRegistration(
            "StorageObjectInUseProtection",
            lambda _: StorageObjectInUseProtection(),
            "claims and volumes stay while they are used",
        ),
    )
