"""Amounts of compute resources that are asked for and allowed."""

from windlass.apimachinery.schema import ListOf, MapOf, Quantity, Str
from windlass.apis.core.v1.schema import CoreSchema


class ResourceClaim(CoreSchema):
    """Lets a container use a device claimed by its pod."""

    name = Str("Name of an entry in the pod's resourceClaims.", required=True)
    request = Str("One request of that claim; empty makes all of it available.")


class ResourceRequirements(CoreSchema):
    """Resources that a container needs and the most it may use."""

    claims = ListOf("Claimed devices that the container uses.", ResourceClaim, list_type="map", list_map_keys=("name",))
    limits = MapOf("The most that may be used of each resource.", Quantity("Value of the key."))
    requests = MapOf("What is set aside of each resource; taken from the limit when absent.",
                     Quantity("Value of the key."))


class VolumeResourceRequirements(CoreSchema):
    """Storage that a claim needs."""

    limits = MapOf("The most storage that the volume may have.", Quantity("Value of the key."))
    requests = MapOf("The least storage that the volume must have.", Quantity("Value of the key."))


class ContainerResizePolicy(CoreSchema):
    """Says whether changing a resource in place restarts the container."""

    resource_name = Str("Resource that the rule is for.", required=True, enum=("cpu", "memory"))
    restart_policy = Str("What a change of the resource does.", required=True, enum=("NotRequired", "RestartContainer"))
