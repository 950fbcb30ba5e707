"""The built-in kinds, gathered."""

from windlass.apimachinery.scheme import KindDefinition, Scheme
from windlass.apis.apps import v1 as apps
from windlass.apis.batch import v1 as batch
from windlass.apis.coordination import v1 as coordination
from windlass.apis.core.v1 import (
    configmap,
    endpoints,
    event,
    limit_range,
    namespace,
    node,
    persistent_volume,
    persistent_volume_claim,
    pod,
    pod_template,
    replication_controller,
    resource_quota,
    secret,
    service,
    serviceaccount,
)
from windlass.apis.discovery import v1 as discovery
from windlass.apis.events import v1 as events
from windlass.apis.networking import v1 as networking
from windlass.apis.node import v1 as node_group
from windlass.apis.policy import v1 as policy
from windlass.apis.scheduling import v1 as scheduling
from windlass.apis.storage import v1 as storage

MODULES = (
    configmap,
    endpoints,
    event,
    limit_range,
    namespace,
    node,
    persistent_volume,
    persistent_volume_claim,
    pod,
    pod_template,
    replication_controller,
    resource_quota,
    secret,
    service,
    serviceaccount,
    apps,
    batch,
    coordination,
    discovery,
    events,
    networking,
    node_group,
    policy,
    scheduling,
    storage,
)


def builtin_kinds() -> list[KindDefinition]:
    """Return every built-in kind."""
    return [kind for module in MODULES for kind in module.KINDS]


def builtin_scheme() -> Scheme:
    """Return a scheme of the built-in kinds."""
    return Scheme(builtin_kinds())
