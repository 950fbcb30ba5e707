"""Claims of storage, as StatefulSets carry them in their templates. The kind itself is not served yet."""

from windlass.apimachinery.schema import ListOf, MapOf, Nested, Quantity, Str, Time
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.core.v1.volume_claim import PersistentVolumeClaimSpec


class ModifyVolumeStatus(CoreSchema):
    """How a change of the volume's attributes stands."""

    status = Str("How it stands.", required=True)
    target_volume_attributes_class_name = Str("Class that the volume is to have.")


class PersistentVolumeClaimCondition(CoreSchema):
    """One observed aspect of a claim."""

    last_probe_time = Time("When the condition was last looked at.")
    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class PersistentVolumeClaimStatus(CoreSchema):
    """What is observed of a claim."""

    access_modes = ListOf("Ways in which the volume is mountable.", Str("One of them."), list_type="atomic")
    allocated_resource_statuses = MapOf("How resizes stand, by resource.", Str("How it stands."), map_type="granular")
    allocated_resources = MapOf("Storage set aside for the claim.", Quantity("Amount of the resource."))
    capacity = MapOf("Storage that the volume has.", Quantity("Amount of the resource."))
    conditions = ListOf(
        "Observed aspects.",
        PersistentVolumeClaimCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    current_volume_attributes_class_name = Str("Class that the volume has.")
    modify_volume_status = Nested("How a change of attributes stands.", ModifyVolumeStatus)
    phase = Str("Pending, Bound or Lost.")


class PersistentVolumeClaim(CoreObject):
    """Asks for storage."""

    spec = Nested("The storage that is asked for.", PersistentVolumeClaimSpec)
    status = Nested("What is observed of the claim.", PersistentVolumeClaimStatus)
