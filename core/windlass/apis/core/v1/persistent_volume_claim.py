"""PersistentVolumeClaims: who asks for storage that outlives pods."""

from windlass.apimachinery.schema import ListOf, MapOf, Nested, Quantity, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.access_modes import UNSET, short_modes, shown_phase, shown_storage, storage_class_of
from windlass.apis.core.v1.persistent_volume_claim_validation import (
    normalize_data_sources,
    validate_claim_spec,
    validate_claim_update,
)
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.core.v1.volume_claim import PersistentVolumeClaimSpec
from windlass.errors import FieldError


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


def _spec(obj: Obj) -> Obj:
    found: Obj = obj.get("spec") or {}
    return found


def _of_bound(obj: Obj, field: str) -> Obj | None:
    """Return a part of the status once the claim has a volume."""
    return (obj.get("status") or {}).get(field) if _spec(obj).get("volumeName") else None


class PersistentVolumeClaimStrategy(Strategy):
    """Behaviour of claims."""

    columns = (
        Column("Status", lambda obj, _now: shown_phase(obj), description="Phase."),
        Column("Volume", lambda obj, _now: _spec(obj).get("volumeName") or "", description="Volume of the claim."),
        Column("Capacity", lambda obj, _now: shown_storage(_of_bound(obj, "capacity"))
               if _spec(obj).get("volumeName") else "", description="Size of the volume."),
        Column("Access Modes", lambda obj, _now: short_modes(_of_bound(obj, "accessModes")),
               description="Ways in which the volume is mountable."),
        Column("StorageClass", lambda obj, _now: storage_class_of(obj), description="Class."),
        Column("VolumeAttributesClass", lambda obj, _now: _spec(obj).get("volumeAttributesClassName") or UNSET,
               description="Class of the changeable attributes."),
        AGE,
        Column("VolumeMode", lambda obj, _now: _spec(obj).get("volumeMode") or UNSET, priority=1,
               description="File system or block device."),
    )  # fmt: skip

    def default(self, obj: Obj) -> None:
        """Write the two spellings of the data source alike; drop what Kubernetes 1.32 has switched off."""
        if obj.get("spec"):
            normalize_data_sources(obj["spec"])
            obj["spec"].pop("volumeAttributesClassName", None)

    def prepare_for_create(self, obj: Obj) -> None:
        """Start without a volume."""
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check modes, size, class and data source."""
        return validate_claim_spec(obj.get("spec") or {}, "spec")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep all but the volume's name, once, and the size of a bound claim."""
        return validate_claim_update(new, old)

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by name under its old key."""
        return {"name": obj["metadata"].get("name") or ""}


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="PersistentVolumeClaim",
        plural="persistentvolumeclaims",
        singular="persistentvolumeclaim",
        namespaced=True,
        schema=PersistentVolumeClaim,
        strategy=PersistentVolumeClaimStrategy(),
        short_names=("pvc",),
        subresources=("status",),
    ),
)
