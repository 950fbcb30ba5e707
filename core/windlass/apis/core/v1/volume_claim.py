"""Claims for storage, as pods and claim objects write them."""

from windlass.apimachinery.schema import Bool, ListOf, Nested, Str
from windlass.apis.core.v1.references import TypedLocalObjectReference, TypedObjectReference
from windlass.apis.core.v1.resources import VolumeResourceRequirements
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.meta.v1 import LabelSelector, ObjectMeta


class PersistentVolumeClaimSpec(CoreSchema):
    """The storage that is asked for."""

    access_modes = ListOf("Ways in which the volume must be mountable.", Str("One of them."))
    data_source = Nested("Snapshot or claim that the volume starts as a copy of.", TypedLocalObjectReference)
    data_source_ref = Nested("Object that the volume is filled from, possibly in another namespace.",
                             TypedObjectReference)
    resources = Nested("Size of the storage.", VolumeResourceRequirements, default={})
    selector = Nested("Volumes that come into question, by label.", LabelSelector)
    storage_class_name = Str("Class of the storage; the default class when absent.")
    volume_attributes_class_name = Str("Class of the volume's changeable attributes.")
    volume_mode = Str("Whether the volume is a file system or a block device.", default="Filesystem",
                      enum=("Block", "Filesystem"))
    volume_name = Str("Volume that the claim is bound to.")


class PersistentVolumeClaimTemplate(CoreSchema):
    """Pattern of the claim made for a pod's volume."""

    metadata = Nested("Labels and annotations for the claim.", ObjectMeta, default={})
    spec = Nested("Storage that the claim asks for.", PersistentVolumeClaimSpec, required=True)


class EphemeralVolumeSource(CoreSchema):
    """A volume that is claimed for the pod and goes with it."""

    volume_claim_template = Nested("Pattern of the claim.", PersistentVolumeClaimTemplate)


class PersistentVolumeClaimVolumeSource(CoreSchema):
    """A volume that a claim in the namespace is bound to."""

    claim_name = Str("Name of the claim.", required=True)
    read_only = Bool("Whether every mount of the volume is read-only.")
