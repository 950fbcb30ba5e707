"""Where a persistent volume's data is, as far as that differs from what pods write.

A persistent volume belongs to no namespace, so its secrets are named with theirs.
"""

from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, Str
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreSchema


class SecretReference(CoreSchema):
    """Names a Secret in any namespace."""

    openapi_map_type = "atomic"

    name = Str("Name of the Secret.")
    namespace = Str("Namespace of the Secret.")


class LocalVolumeSource(CoreSchema):
    """A directory or a block device of one node."""

    fs_type = Str("File system that a block device is mounted as.")
    path = Str("Path on the node.", required=True)


class CSIPersistentVolumeSource(CoreSchema):
    """A volume that a CSI driver keeps."""

    controller_expand_secret_ref = Nested("Secret that the driver needs to grow the volume.", SecretReference)
    controller_publish_secret_ref = Nested("Secret that the driver needs to attach the volume.", SecretReference)
    driver = Str("Name of the driver.", required=True)
    fs_type = Str("File system on the volume.")
    node_expand_secret_ref = Nested("Secret that the driver needs to grow the file system.", SecretReference)
    node_publish_secret_ref = Nested("Secret that the driver needs to mount the volume for a pod.", SecretReference)
    node_stage_secret_ref = Nested("Secret that the driver needs to mount the volume on a node.", SecretReference)
    read_only = Bool("Whether the volume is mounted read-only.")
    volume_attributes = MapOf("What the driver noted of the volume.", Str("Value of the key."))
    volume_handle = Str("Name by which the driver knows the volume.", required=True)


class AzureFilePersistentVolumeSource(CoreSchema):
    """A file share of Azure."""

    read_only = Bool("Whether the volume is mounted read-only.")
    secret_name = Str("Secret with the storage account and its key.", required=True)
    secret_namespace = Str("Namespace of the Secret; the claim's when absent.")
    share_name = Str("Name of the share.", required=True)


class CephFSPersistentVolumeSource(CoreSchema):
    """A folder of a Ceph file system."""

    monitors = ListOf("Addresses of the Ceph monitors.", Str("One of them."), required=True)
    path = Str("Folder to mount; the root when absent.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_file = Str("File on the node with the user's key.")
    secret_ref = Nested("Secret to log in with.", SecretReference)
    user = Str("User to log in as.")


class CinderPersistentVolumeSource(CoreSchema):
    """A disk of OpenStack."""

    fs_type = Str("File system on the volume.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", SecretReference)
    volume_id = Str("Id of the disk.", data_key="volumeID", required=True)


class FlexPersistentVolumeSource(CoreSchema):
    """A volume that an exec-based driver mounts."""

    driver = Str("Name of the driver.", required=True)
    fs_type = Str("File system on the volume.")
    options = MapOf("Settings for the driver.", Str("Value of the key."))
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", SecretReference)


class GlusterfsPersistentVolumeSource(CoreSchema):
    """A Gluster volume."""

    endpoints = Str("Name of the Endpoints object that lists the servers.", required=True)
    endpoints_namespace = Str("Namespace of the Endpoints; the claim's when absent.")
    path = Str("Name of the Gluster volume.", required=True)
    read_only = Bool("Whether the volume is mounted read-only.")


class ISCSIPersistentVolumeSource(CoreSchema):
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
    secret_ref = Nested("Secret to log in with.", SecretReference)
    target_portal = Str("Address of the target's portal.", required=True)


class RBDPersistentVolumeSource(CoreSchema):
    """A Ceph block device."""

    fs_type = Str("File system on the volume.")
    image = Str("Name of the device's image.", required=True)
    keyring = Str("File on the node with the user's keys.", default="/etc/ceph/keyring")
    monitors = ListOf("Addresses of the Ceph monitors.", Str("One of them."), required=True)
    pool = Str("Pool that the image lives in.", default="rbd")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", SecretReference)
    user = Str("User to log in as.", default="admin")


class ScaleIOPersistentVolumeSource(CoreSchema):
    """A ScaleIO volume."""

    fs_type = Str("File system on the volume.", default="xfs")
    gateway = Str("Address of the ScaleIO gateway.", required=True)
    protection_domain = Str("Protection domain of the storage.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", SecretReference, required=True)
    ssl_enabled = Bool("Whether the gateway is called over TLS.")
    storage_mode = Str("Whether the storage is thick or thin.", default="ThinProvisioned")
    storage_pool = Str("Pool in the protection domain.")
    system = Str("Name of the storage system.", required=True)
    volume_name = Str("Name of the volume.")


class StorageOSPersistentVolumeSource(CoreSchema):
    """A StorageOS volume."""

    fs_type = Str("File system on the volume.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", ObjectReference)
    volume_name = Str("Name of the volume.")
    volume_namespace = Str("Scope of the name in StorageOS.")
