"""Volume attachments: which volume is to be attached to which node."""

from windlass.apimachinery.field_errors import immutable, required
from windlass.apimachinery.schema import Bool, MapOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.persistent_volume import PersistentVolumeSpec
from windlass.apis.core.v1.persistent_volume_validation import validate_driver_name, validate_volume_spec
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.storage.v1.schema import GROUP, StorageSchema
from windlass.errors import FieldError

ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class VolumeAttachmentSource(StorageSchema):
    """The volume that is to be attached."""

    inline_volume_spec = Nested("The volume as a pod writes it.", PersistentVolumeSpec)
    persistent_volume_name = Str("Name of the PersistentVolume.")


class VolumeAttachmentSpec(StorageSchema):
    """What is to be attached, where and by whom."""

    attacher = Str("Name of the driver that attaches.", required=True)
    node_name = Str("Node that the volume is attached to.", required=True)
    source = Nested("The volume.", VolumeAttachmentSource, required=True)


class VolumeError(StorageSchema):
    """What went wrong the last time."""

    message = Str("Details, for people.")
    time = Time("When it went wrong.")


class VolumeAttachmentStatus(StorageSchema):
    """What is observed of an attachment."""

    attach_error = Nested("What went wrong in attaching.", VolumeError)
    attached = Bool("Whether the volume is attached.", required=True, default=False)
    attachment_metadata = MapOf("What the driver noted for those who mount.", Str("Value of the key."))
    detach_error = Nested("What went wrong in detaching.", VolumeError)


class VolumeAttachment(ApiObject):
    """Asks for a volume to be attached to a node."""

    openapi_prefix = StorageSchema.openapi_prefix

    spec = Nested("What is to be attached.", VolumeAttachmentSpec, required=True)
    status = Nested("What is observed of the attachment.", VolumeAttachmentStatus)


def _spec(obj: Obj) -> Obj:
    found: Obj = obj.get("spec") or {}
    return found


class VolumeAttachmentStrategy(Strategy):
    """Behaviour of attachments."""

    columns = (
        Column("Attacher", lambda obj, _now: _spec(obj).get("attacher") or "", description="Driver that attaches."),
        Column("PV", lambda obj, _now: (_spec(obj).get("source") or {}).get("persistentVolumeName") or "",
               description="The volume."),
        Column("Node", lambda obj, _now: _spec(obj).get("nodeName") or "", description="The node."),
        Column("Attached", lambda obj, _now: bool((obj.get("status") or {}).get("attached")), type="boolean",
               description="Whether the volume is attached."),
        AGE,
    )  # fmt: skip

    def prepare_for_create(self, obj: Obj) -> None:
        """Start detached."""
        obj["status"] = {"attached": False}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check driver, node and volume."""
        spec = obj.get("spec") or {}
        found = validate_driver_name(spec.get("attacher") or "", "spec.attacher")
        if not spec.get("nodeName"):
            found.append(required("spec.nodeName"))
        source = spec.get("source") or {}
        inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
        if (inline is None) == (not name):
            found.append(required("spec.source", ONE_SOURCE))
        elif inline is not None:
            found += validate_volume_spec(inline, "spec.source.inlineVolumeSpec", inline=True)
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the spec: another attachment is another object."""
        return immutable("spec", new.get("spec"), old.get("spec"))


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="VolumeAttachment",
        plural="volumeattachments",
        singular="volumeattachment",
        namespaced=False,
        schema=VolumeAttachment,
        strategy=VolumeAttachmentStrategy(),
        subresources=("status",),
    ),
)
