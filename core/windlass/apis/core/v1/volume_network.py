"""Volumes that come over the network."""

from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, Str
from windlass.apis.core.v1.references import LocalObjectReference
from windlass.apis.core.v1.schema import CoreSchema


class NFSVolumeSource(CoreSchema):
    """A folder of an NFS server."""

    path = Str("Path that the server exports.", required=True)
    read_only = Bool("Whether the volume is mounted read-only.")
    server = Str("Host name or address of the server.", required=True)


class CSIVolumeSource(CoreSchema):
    """A volume that a CSI driver makes for the pod."""

    driver = Str("Name of the driver.", required=True)
    fs_type = Str("File system on the volume.")
    node_publish_secret_ref = Nested("Secret that the driver needs to mount the volume.", LocalObjectReference)
    read_only = Bool("Whether the volume is mounted read-only.")
    volume_attributes = MapOf("Settings for the driver.", Str("Value of the key."))


class ISCSIVolumeSource(CoreSchema):
    """A disk of an iSCSI target."""

    chap_auth_discovery = Bool("Whether discovery uses CHAP.")
    chap_auth_session = Bool("Whether sessions use CHAP.")
    fs_type = Str("File system on the volume.")
    initiator_name = Str("Name that the node calls itself by.")
    iqn = Str("Name of the target.", required=True)
    iscsi_interface = Str("Transport to use.", default="default")
    lun = Int("Number of the disk on the target.", required=True)
    portals = ListOf("Further portals of the target.", Str("One of them."))
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)
    target_portal = Str("Address of the target's portal.", required=True)


class CephFSVolumeSource(CoreSchema):
    """A folder of a Ceph file system."""

    monitors = ListOf("Addresses of the Ceph monitors.", Str("One of them."), required=True)
    path = Str("Folder to mount; the root when absent.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_file = Str("File on the node with the user's key.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)
    user = Str("User to log in as.")


class RBDVolumeSource(CoreSchema):
    """A Ceph block device."""

    fs_type = Str("File system on the volume.")
    image = Str("Name of the device's image.", required=True)
    keyring = Str("File on the node with the user's keys.", default="/etc/ceph/keyring")
    monitors = ListOf("Addresses of the Ceph monitors.", Str("One of them."), required=True)
    pool = Str("Pool that the image lives in.", default="rbd")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)
    user = Str("User to log in as.", default="admin")


class GlusterfsVolumeSource(CoreSchema):
    """A Gluster volume."""

    endpoints = Str("Name of the Endpoints object that lists the servers.", required=True)
    path = Str("Name of the Gluster volume.", required=True)
    read_only = Bool("Whether the volume is mounted read-only.")


class FCVolumeSource(CoreSchema):
    """A disk on a Fibre Channel."""

    fs_type = Str("File system on the volume.")
    lun = Int("Number of the disk on the target.")
    read_only = Bool("Whether the volume is mounted read-only.")
    target_ww_ns = ListOf("World wide names of the target.", Str("One of them."), data_key="targetWWNs")
    wwids = ListOf("World wide ids of the disk; instead of lun and targetWWNs.", Str("One of them."))


class FlexVolumeSource(CoreSchema):
    """A volume that an exec-based driver mounts."""

    driver = Str("Name of the driver.", required=True)
    fs_type = Str("File system on the volume.")
    options = MapOf("Settings for the driver.", Str("Value of the key."))
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)


class FlockerVolumeSource(CoreSchema):
    """A Flocker dataset."""

    dataset_name = Str("Name of the dataset.")
    dataset_uuid = Str("Unique id of the dataset.", data_key="datasetUUID")


class QuobyteVolumeSource(CoreSchema):
    """A Quobyte volume."""

    group = Str("Group that the mount maps to.")
    read_only = Bool("Whether the volume is mounted read-only.")
    registry = Str("Addresses of the Quobyte registries.", required=True)
    tenant = Str("Tenant that owns the volume.")
    user = Str("User that the mount maps to.")
    volume = Str("Name of the volume.", required=True)
