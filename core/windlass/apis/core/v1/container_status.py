"""How the containers of a pod fare."""

from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, Quantity, Str, Time
from windlass.apis.core.v1.resources import ResourceRequirements
from windlass.apis.core.v1.schema import CoreSchema


class ContainerStateRunning(CoreSchema):
    """The container runs."""

    started_at = Time("When the container was last started.")


class ContainerStateTerminated(CoreSchema):
    """The container has ended."""

    container_id = Str("Runtime and id of the ended container.", data_key="containerID")
    exit_code = Int("Exit code of its first process.", required=True, default=0)
    finished_at = Time("When it ended.")
    message = Str("Its last words, for people.")
    reason = Str("Why it ended, as one word.")
    signal = Int("Signal that ended it, if one did.")
    started_at = Time("When it had been started.")


class ContainerStateWaiting(CoreSchema):
    """The container does not run yet."""

    message = Str("What it waits for, for people.")
    reason = Str("What it waits for, as one word.")


class ContainerState(CoreSchema):
    """State of a container; exactly one is given."""

    running = Nested("Details while it runs.", ContainerStateRunning)
    terminated = Nested("Details after it has ended.", ContainerStateTerminated)
    waiting = Nested("Details while it waits.", ContainerStateWaiting)


class LinuxContainerUser(CoreSchema):
    """User and groups of a container's first process on Linux."""

    gid = Int("Primary group id.", required=True, bits=64, default=0)
    supplemental_groups = ListOf("Further group ids.", Int("One of them.", bits=64))
    uid = Int("User id.", required=True, bits=64, default=0)


class ContainerUser(CoreSchema):
    """User that a container's first process runs as."""

    linux = Nested("The user on a Linux node.", LinuxContainerUser)


class ResourceHealth(CoreSchema):
    """Health of one device."""

    health = Str("Healthy, Unhealthy or Unknown.")
    resource_id = Str("Id of the device.", data_key="resourceID", required=True, default="")


class ResourceStatus(CoreSchema):
    """Health of the devices of one resource."""

    name = Str("Name of the resource.", required=True, default="")
    resources = ListOf("Health of each device.", ResourceHealth, list_type="map", list_map_keys=("resourceID",))


class VolumeMountStatus(CoreSchema):
    """How a volume is mounted into a container."""

    mount_path = Str("Path in the container.", required=True, default="")
    name = Str("Name of the pod's volume.", required=True, default="")
    read_only = Bool("Whether the mount is read-only.")
    recursive_read_only = Str("Whether mounts below it are read-only too.")


class ContainerStatus(CoreSchema):
    """How one container of a pod fares."""

    allocated_resources = MapOf("Resources that the node has set aside for the container.",
                                Quantity("Value of the key."))
    allocated_resources_status = ListOf("Health of the devices given to the container.", ResourceStatus,
                                        list_type="map", list_map_keys=("name",), patch_strategy="merge",
                                        patch_merge_key="name")
    container_id = Str("Runtime and id of the container.", data_key="containerID")
    image = Str("Image that runs.", required=True, default="")
    image_id = Str("Id or digest of the image that runs.", data_key="imageID", required=True, default="")
    last_state = Nested("State of the container before its last restart.", ContainerState, default={})
    name = Str("Name of the container.", required=True, default="")
    ready = Bool("Whether the container passes its readiness probe.", required=True, default=False)
    resources = Nested("Requests and limits in force for the container.", ResourceRequirements)
    restart_count = Int("How often the container was restarted.", required=True, default=0)
    started = Bool("Whether the container has started and passes its startup probe.")
    state = Nested("State of the container now.", ContainerState, default={})
    user = Nested("User that the container's first process has got.", ContainerUser)
    volume_mounts = ListOf("How volumes are mounted into the container.", VolumeMountStatus, list_type="map",
                           list_map_keys=("mountPath",), patch_strategy="merge", patch_merge_key="mountPath")
