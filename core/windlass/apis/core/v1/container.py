"""Containers of a pod as they are asked for."""

from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str
from windlass.apis.core.v1.env import EnvFromSource, EnvVar
from windlass.apis.core.v1.probe import Lifecycle, Probe
from windlass.apis.core.v1.resources import ContainerResizePolicy, ResourceRequirements
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.core.v1.security import SecurityContext


class ContainerPort(CoreSchema):
    """A port that a container listens on."""

    container_port = Int("Number of the port in the pod's network.", required=True)
    host_ip = Str("Address of the host to bind the host port to.", data_key="hostIP")
    host_port = Int("Number of the port on the host; absent publishes none.")
    name = Str("Name by which Services and probes may refer to the port.")
    protocol = Str("Transport protocol of the port.", default="TCP", enum=("SCTP", "TCP", "UDP"))


class VolumeDevice(CoreSchema):
    """A raw block device given to a container."""

    device_path = Str("Path in the container at which the device appears.", required=True)
    name = Str("Name of the pod's volume that is the device.", required=True)


class VolumeMount(CoreSchema):
    """A volume mounted into a container."""

    mount_path = Str("Path in the container at which the volume appears.", required=True)
    mount_propagation = Str("Whether later mounts pass between host and container.",
                            enum=("Bidirectional", "HostToContainer", "None"))
    name = Str("Name of the pod's volume to mount.", required=True)
    read_only = Bool("Whether the mount is read-only.")
    recursive_read_only = Str("Whether mounts below it are read-only too.", enum=("Disabled", "Enabled", "IfPossible"))
    sub_path = Str("Path in the volume to mount instead of its root.")
    sub_path_expr = Str("The same, with $(NAME) replaced by the container's variables.")


class Container(CoreSchema):
    """One container of a pod."""

    args = ListOf("Arguments of the entry point; the image's when absent.", Str("One of them."))
    command = ListOf("Entry point, run without a shell; the image's when absent.", Str("One of them."))
    env = ListOf("Environment variables of the container.", EnvVar, list_type="map", list_map_keys=("name",),
                 patch_strategy="merge", patch_merge_key="name")
    env_from = ListOf("ConfigMaps and Secrets whose keys become variables.", EnvFromSource)
    image = Str("Image to run.")
    image_pull_policy = Str("When to pull the image; Always for the tag latest, else IfNotPresent.",
                            enum=("Always", "IfNotPresent", "Never"))
    lifecycle = Nested("Actions at the start and before the end of the container.", Lifecycle)
    liveness_probe = Nested("Restarts the container when it fails.", Probe)
    name = Str("Name of the container, unique in the pod.", required=True)
    ports = ListOf("Ports that the container listens on; for information, except host ports.", ContainerPort,
                   list_type="map", list_map_keys=("containerPort", "protocol"), patch_strategy="merge",
                   patch_merge_key="containerPort")
    readiness_probe = Nested("Takes the pod out of Services while it fails.", Probe)
    resize_policy = ListOf("Whether a change of a resource in place restarts the container.", ContainerResizePolicy)
    resources = Nested("Resources that the container needs and may use.", ResourceRequirements, default={})
    restart_policy = Str("Always makes an init container a sidecar; other containers may not set it.")
    security_context = Nested("Privileges of the container.", SecurityContext)
    startup_probe = Nested("Holds the other probes back until it succeeds.", Probe)
    stdin = Bool("Whether the container keeps a standard input open.")
    stdin_once = Bool("Whether standard input closes after the first client has gone.")
    termination_message_path = Str("File that the container may write its last words to.",
                                   default="/dev/termination-log")
    termination_message_policy = Str("Whether the end of the log serves when that file is empty.", default="File",
                                     enum=("FallbackToLogsOnError", "File"))
    tty = Bool("Whether the container gets a terminal.")
    volume_devices = ListOf("Block devices of the container.", VolumeDevice, list_type="map",
                            list_map_keys=("devicePath",), patch_strategy="merge", patch_merge_key="devicePath")
    volume_mounts = ListOf("Volumes mounted into the container.", VolumeMount, list_type="map",
                           list_map_keys=("mountPath",), patch_strategy="merge", patch_merge_key="mountPath")
    working_dir = Str("Folder that the entry point starts in; the image's when absent.")


class EphemeralContainer(Container):
    """A container put into a running pod for debugging."""

    target_container_name = Str("Container whose process namespace it joins.")
