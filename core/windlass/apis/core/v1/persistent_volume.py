"""PersistentVolumes: storage that outlives pods."""

from datetime import datetime

from windlass.apimachinery.schema import ListOf, MapOf, Nested, Quantity, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1 import volume_cloud as cloud
from windlass.apis.core.v1 import volume_network as network
from windlass.apis.core.v1.access_modes import UNSET, short_modes, shown_phase, shown_storage, storage_class_of
from windlass.apis.core.v1.affinity import NodeSelector
from windlass.apis.core.v1.persistent_volume_sources import (
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FlexPersistentVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
)
from windlass.apis.core.v1.persistent_volume_validation import validate_volume_spec, validate_volume_update
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.core.v1.volume import HostPathVolumeSource
from windlass.errors import FieldError

RECYCLE_WARNING = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach "
    "is to use dynamic provisioning."
)


class VolumeNodeAffinity(CoreSchema):
    """Nodes that reach the volume."""

    required = Nested("Nodes that do; others do not.", NodeSelector)


class PersistentVolumeSpec(CoreSchema):
    """A volume: its size, where its data is, and how it may be used."""

    access_modes = ListOf("Ways in which the volume is mountable.", Str("One of them."))
    aws_elastic_block_store = Nested("A disk of AWS.", cloud.AWSElasticBlockStoreVolumeSource)
    azure_disk = Nested("A disk of Azure.", cloud.AzureDiskVolumeSource)
    azure_file = Nested("A file share of Azure.", AzureFilePersistentVolumeSource)
    capacity = MapOf("Storage that the volume has.", Quantity("Amount of the resource."))
    cephfs = Nested("A folder of a Ceph file system.", CephFSPersistentVolumeSource)
    cinder = Nested("A disk of OpenStack.", CinderPersistentVolumeSource)
    claim_ref = Nested("Claim that the volume is bound to, or kept for.", ObjectReference)
    csi = Nested("A volume that a CSI driver keeps.", CSIPersistentVolumeSource)
    fc = Nested("A disk on a Fibre Channel.", network.FCVolumeSource)
    flex_volume = Nested("A volume that an exec-based driver mounts.", FlexPersistentVolumeSource)
    flocker = Nested("A Flocker dataset.", network.FlockerVolumeSource)
    gce_persistent_disk = Nested("A disk of Google's cloud.", cloud.GCEPersistentDiskVolumeSource)
    glusterfs = Nested("A Gluster volume.", GlusterfsPersistentVolumeSource)
    host_path = Nested("A file or folder of whichever node the pod is on.", HostPathVolumeSource)
    iscsi = Nested("A disk of an iSCSI target.", ISCSIPersistentVolumeSource)
    local = Nested("A directory or a block device of one node.", LocalVolumeSource)
    mount_options = ListOf("Options that the volume is mounted with.", Str("One of them."))
    nfs = Nested("A folder of an NFS server.", network.NFSVolumeSource)
    node_affinity = Nested("Nodes that reach the volume; all when absent.", VolumeNodeAffinity)
    persistent_volume_reclaim_policy = Str("What becomes of the volume when its claim is gone.", default="Retain",
                                           enum=("Delete", "Recycle", "Retain"))  # fmt: skip
    photon_persistent_disk = Nested("A disk of a Photon controller.", cloud.PhotonPersistentDiskVolumeSource)
    portworx_volume = Nested("A Portworx volume.", cloud.PortworxVolumeSource)
    quobyte = Nested("A Quobyte volume.", network.QuobyteVolumeSource)
    rbd = Nested("A Ceph block device.", RBDPersistentVolumeSource)
    scale_io = Nested("A ScaleIO volume.", ScaleIOPersistentVolumeSource, data_key="scaleIO")
    storage_class_name = Str("Class of the volume; only claims of that class get it.")
    storageos = Nested("A StorageOS volume.", StorageOSPersistentVolumeSource)
    volume_attributes_class_name = Str("Class of the volume's changeable attributes.")
    volume_mode = Str("Whether the volume is a file system or a block device.", default="Filesystem",
                      enum=("Block", "Filesystem"))  # fmt: skip
    vsphere_volume = Nested("A disk of vSphere.", cloud.VsphereVirtualDiskVolumeSource)


class PersistentVolumeStatus(CoreSchema):
    """What is observed of a volume."""

    last_phase_transition_time = Time("When the phase last changed.")
    message = Str("Details, for people.")
    phase = Str("Pending, Available, Bound, Released or Failed.")
    reason = Str("Why it failed, in one word.")


class PersistentVolume(CoreObject):
    """Storage that outlives pods."""

    spec = Nested("The volume.", PersistentVolumeSpec)
    status = Nested("What is observed of the volume.", PersistentVolumeStatus)


def _spec(obj: Obj) -> Obj:
    found: Obj = obj.get("spec") or {}
    return found


def _claim(obj: Obj, _now: datetime) -> str:
    reference = _spec(obj).get("claimRef")
    return f"{reference.get('namespace') or ''}/{reference.get('name') or ''}" if reference else ""


class PersistentVolumeStrategy(Strategy):
    """Behaviour of PersistentVolumes."""

    columns = (
        Column("Capacity", lambda obj, _now: shown_storage(_spec(obj).get("capacity")), description="Size."),
        Column("Access Modes", lambda obj, _now: short_modes(_spec(obj).get("accessModes")),
               description="Ways in which the volume is mountable."),
        Column("Reclaim Policy", lambda obj, _now: _spec(obj).get("persistentVolumeReclaimPolicy") or "",
               description="What becomes of the volume when its claim is gone."),
        Column("Status", lambda obj, _now: shown_phase(obj), description="Phase."),
        Column("Claim", _claim, description="Claim that the volume is bound to."),
        Column("StorageClass", lambda obj, _now: storage_class_of(obj), description="Class."),
        Column("VolumeAttributesClass", lambda obj, _now: _spec(obj).get("volumeAttributesClassName") or UNSET,
               description="Class of the changeable attributes."),
        Column("Reason", lambda obj, _now: (obj.get("status") or {}).get("reason") or "",
               description="Why the volume failed."),
        AGE,
        Column("VolumeMode", lambda obj, _now: _spec(obj).get("volumeMode") or UNSET, priority=1,
               description="File system or block device."),
    )  # fmt: skip

    def default(self, obj: Obj) -> None:
        """Drop what Kubernetes 1.32 has switched off: classes of changeable attributes."""
        if obj.get("spec"):
            obj["spec"].pop("volumeAttributesClassName", None)

    def prepare_for_create(self, obj: Obj) -> None:
        """Start out of use."""
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check size, modes, source and nodes."""
        return validate_volume_spec(obj.get("spec") or {}, "spec")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep where the data is."""
        return validate_volume_update(new.get("spec") or {}, old.get("spec") or {}, "spec")

    def warnings(self, obj: Obj) -> list[str]:
        """Tell of the policy that nothing obeys."""
        recycles = _spec(obj).get("persistentVolumeReclaimPolicy") == "Recycle"
        return [RECYCLE_WARNING] if recycles else []

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by name under its old key."""
        return {"name": obj["metadata"].get("name") or ""}


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="PersistentVolume",
        plural="persistentvolumes",
        singular="persistentvolume",
        namespaced=False,
        schema=PersistentVolume,
        strategy=PersistentVolumeStrategy(),
        short_names=("pv",),
        subresources=("status",),
    ),
)
