"""How a node fares and what it has."""

from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, Quantity, Str, Time
from windlass.apis.core.v1.schema import CoreSchema


class AttachedVolume(CoreSchema):
    """A volume attached to a node."""

    device_path = Str("Path of the device on the node.", required=True, default="")
    name = Str("Name of the volume.", required=True, default="")


class ContainerImage(CoreSchema):
    """An image that a node holds."""

    names = ListOf("Names by which the image is known.", Str("One of them."))
    size_bytes = Int("Size of the image in bytes.", bits=64)


class ConfigMapNodeConfigSource(CoreSchema):
    """A ConfigMap with the agent's settings; no longer used."""

    kubelet_config_key = Str("Key with the settings.", required=True)
    name = Str("Name of the ConfigMap.", required=True)
    namespace = Str("Namespace of the ConfigMap.", required=True)
    resource_version = Str("Revision of the ConfigMap.")
    uid = Str("Unique id of the ConfigMap.")


class NodeConfigSource(CoreSchema):
    """Where the agent's settings come from; no longer used."""

    config_map = Nested("ConfigMap with the settings.", ConfigMapNodeConfigSource)


class NodeConfigStatus(CoreSchema):
    """State of the agent's settings; no longer used."""

    active = Nested("Settings in force.", NodeConfigSource)
    assigned = Nested("Settings to be tried.", NodeConfigSource)
    error = Str("What was wrong with the settings.")
    last_known_good = Nested("Settings to fall back to.", NodeConfigSource)


class DaemonEndpoint(CoreSchema):
    """A port that a daemon listens on."""

    port = Int("Number of the port.", data_key="Port", required=True, default=0)


class NodeDaemonEndpoints(CoreSchema):
    """Ports of the node's daemons."""

    kubelet_endpoint = Nested("Port of the agent.", DaemonEndpoint, default={"Port": 0})


class NodeFeatures(CoreSchema):
    """What the node's runtime can do."""

    supplemental_groups_policy = Bool("Whether it obeys supplementalGroupsPolicy.")


class NodeRuntimeHandlerFeatures(CoreSchema):
    """What one runtime handler can do."""

    recursive_read_only_mounts = Bool("Whether it can make mounts recursively read-only.")
    user_namespaces = Bool("Whether it can give pods user ids of their own.")


class NodeRuntimeHandler(CoreSchema):
    """A runtime handler of the node."""

    features = Nested("What the handler can do.", NodeRuntimeHandlerFeatures)
    name = Str("Name of the handler; empty for the default one.")


class NodeSystemInfo(CoreSchema):
    """What the node is and runs."""

    architecture = Str("Architecture of the processor.", required=True, default="")
    boot_id = Str("Id of the boot.", data_key="bootID", required=True, default="")
    container_runtime_version = Str("Runtime and version, such as `docker://28.1`.", required=True, default="")
    kernel_version = Str("Version of the kernel.", required=True, default="")
    kube_proxy_version = Str("Version of the service proxy.", required=True, default="")
    kubelet_version = Str("Version of the agent.", required=True, default="")
    machine_id = Str("Id of the machine.", data_key="machineID", required=True, default="")
    operating_system = Str("Operating system.", required=True, default="")
    os_image = Str("Name of the operating system's release.", required=True, default="")
    system_uuid = Str("Id of the machine by its firmware.", data_key="systemUUID", required=True, default="")


class NodeAddress(CoreSchema):
    """An address by which a node is reached."""

    address = Str("The address.", required=True, default="")
    type = Str("Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.", required=True, default="")


class NodeCondition(CoreSchema):
    """One aspect of a node's state."""

    last_heartbeat_time = Time("When the aspect was last reported.")
    last_transition_time = Time("When the status last changed.")
    message = Str("What happened, for people.")
    reason = Str("Why the condition last changed, as one word.")
    status = Str("Whether the condition holds: True, False or Unknown.", required=True)
    type = Str("Name of the aspect.", required=True)


class NodeStatus(CoreSchema):
    """How a node fares and what it has."""

    addresses = ListOf("Addresses by which the node is reached.", NodeAddress, list_type="map", list_map_keys=("type",),
                       patch_strategy="merge", patch_merge_key="type")
    allocatable = MapOf("Resources that pods may use; all of capacity when absent.", Quantity("Value of the key."))
    capacity = MapOf("Resources that the node has.", Quantity("Value of the key."))
    conditions = ListOf("Aspects of the node's state.", NodeCondition, list_type="map", list_map_keys=("type",),
                        patch_strategy="merge", patch_merge_key="type")
    config = Nested("State of the agent's settings; no longer used.", NodeConfigStatus)
    daemon_endpoints = Nested("Ports of the node's daemons.", NodeDaemonEndpoints,
                              default={"kubeletEndpoint": {"Port": 0}})
    features = Nested("What the node's runtime can do.", NodeFeatures)
    images = ListOf("Images that the node holds.", ContainerImage)
    node_info = Nested("What the node is and runs.", NodeSystemInfo, default={})
    phase = Str("No longer used.")
    runtime_handlers = ListOf("Runtime handlers of the node.", NodeRuntimeHandler)
    volumes_attached = ListOf("Volumes attached to the node.", AttachedVolume)
    volumes_in_use = ListOf("Volumes that may not be detached.", Str("One of them."))
