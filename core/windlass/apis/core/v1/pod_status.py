"""How a pod fares."""

from windlass.apimachinery.schema import ListOf, Str, Time
from windlass.apis.core.v1.container_status import ContainerStatus
from windlass.apis.core.v1.schema import CoreSchema


class PodCondition(CoreSchema):
    """One aspect of a pod's state."""

    last_probe_time = Time("When the aspect was last looked at.")
    last_transition_time = Time("When the status last changed.")
    message = Str("What happened, for people.")
    reason = Str("Why the condition last changed, as one word.")
    status = Str("Whether the condition holds: True, False or Unknown.", required=True)
    type = Str("Name of the aspect.", required=True)


class HostIP(CoreSchema):
    """An address of the pod's node."""

    ip = Str("The address.", required=True)


class PodIP(CoreSchema):
    """An address of the pod."""

    ip = Str("The address.", required=True)


class PodResourceClaimStatus(CoreSchema):
    """The claim made for an entry of resourceClaims."""

    name = Str("Name of the entry.", required=True)
    resource_claim_name = Str("ResourceClaim that was made, if one was needed.")


class PodStatus(CoreSchema):
    """How a pod fares."""

    conditions = ListOf("Aspects of the pod's state.", PodCondition, list_type="map", list_map_keys=("type",),
                        patch_strategy="merge", patch_merge_key="type")
    container_statuses = ListOf("How each container fares.", ContainerStatus)
    ephemeral_container_statuses = ListOf("How each debugging container fares.", ContainerStatus)
    host_ip = Str("Address of the pod's node.", data_key="hostIP")
    host_i_ps = ListOf("All addresses of the pod's node.", HostIP, patch_strategy="merge", patch_merge_key="ip")
    init_container_statuses = ListOf("How each init container fares.", ContainerStatus)
    message = Str("Why the pod is in this state, for people.")
    nominated_node_name = Str("Node on which room is being made for the pod.")
    phase = Str("Pending, Running, Succeeded, Failed or Unknown.")
    pod_ip = Str("Address of the pod.", data_key="podIP")
    pod_i_ps = ListOf("All addresses of the pod.", PodIP, list_type="map", list_map_keys=("ip",),
                      patch_strategy="merge", patch_merge_key="ip")
    qos_class = Str("Guaranteed, Burstable or BestEffort; follows from requests and limits.")
    reason = Str("Why the pod is in this state, as one word.")
    resize = Str("State of a change of resources in place.")
    resource_claim_statuses = ListOf("Claims that were made for the pod.", PodResourceClaimStatus, list_type="map",
                                     list_map_keys=("name",), patch_strategy="merge,retainKeys", patch_merge_key="name")
    start_time = Time("When the node's agent took the pod on.")
