"""Volumes that a cloud or a storage product provides; kept so that manifests can be read."""

from windlass.apimachinery.schema import Bool, Int, Nested, Str
from windlass.apis.core.v1.references import LocalObjectReference
from windlass.apis.core.v1.schema import CoreSchema


class AWSElasticBlockStoreVolumeSource(CoreSchema):
    """A disk of AWS."""

    fs_type = Str("File system on the volume.")
    partition = Int("Number of the partition to mount.")
    read_only = Bool("Whether the volume is mounted read-only.")
    volume_id = Str("Id of the disk.", data_key="volumeID", required=True)


class AzureDiskVolumeSource(CoreSchema):
    """A disk of Azure."""

    caching_mode = Str("How the host caches the disk.", default="ReadWrite", enum=("None", "ReadOnly", "ReadWrite"))
    disk_name = Str("Name of the disk.", required=True)
    disk_uri = Str("Address of the disk.", data_key="diskURI", required=True)
    fs_type = Str("File system on the disk.", default="ext4")
    kind = Str("How the disk is provided.", default="Shared", enum=("Dedicated", "Managed", "Shared"))
    read_only = Bool("Whether the volume is mounted read-only.", default=False)


class AzureFileVolumeSource(CoreSchema):
    """A file share of Azure."""

    read_only = Bool("Whether the volume is mounted read-only.")
    secret_name = Str("Secret with the storage account and its key.", required=True)
    share_name = Str("Name of the share.", required=True)


class CinderVolumeSource(CoreSchema):
    """A disk of OpenStack."""

    fs_type = Str("File system on the volume.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)
    volume_id = Str("Id of the disk.", data_key="volumeID", required=True)


class GCEPersistentDiskVolumeSource(CoreSchema):
    """A disk of Google's cloud."""

    fs_type = Str("File system on the volume.")
    partition = Int("Number of the partition to mount.")
    pd_name = Str("Name of the disk.", required=True)
    read_only = Bool("Whether the volume is mounted read-only.")


class PhotonPersistentDiskVolumeSource(CoreSchema):
    """A disk of a Photon controller."""

    fs_type = Str("File system on the volume.")
    pd_id = Str("Id of the disk.", data_key="pdID", required=True)


class PortworxVolumeSource(CoreSchema):
    """A Portworx volume."""

    fs_type = Str("File system on the volume.")
    read_only = Bool("Whether the volume is mounted read-only.")
    volume_id = Str("Id of the volume.", data_key="volumeID", required=True)


class ScaleIOVolumeSource(CoreSchema):
    """A ScaleIO volume."""

    fs_type = Str("File system on the volume.", default="xfs")
    gateway = Str("Address of the ScaleIO gateway.", required=True)
    protection_domain = Str("Protection domain of the storage.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference, required=True)
    ssl_enabled = Bool("Whether the gateway is called over TLS.")
    storage_mode = Str("Whether the storage is thick or thin.", default="ThinProvisioned")
    storage_pool = Str("Pool in the protection domain.")
    system = Str("Name of the storage system.", required=True)
    volume_name = Str("Name of the volume.")


class StorageOSVolumeSource(CoreSchema):
    """A StorageOS volume."""

    fs_type = Str("File system on the volume.")
    read_only = Bool("Whether the volume is mounted read-only.")
    secret_ref = Nested("Secret to log in with.", LocalObjectReference)
    volume_name = Str("Name of the volume.")
    volume_namespace = Str("Scope of the name in StorageOS.")


class VsphereVirtualDiskVolumeSource(CoreSchema):
    """A disk of vSphere."""

    fs_type = Str("File system on the volume.")
    storage_policy_id = Str("Id of the storage policy.", data_key="storagePolicyID")
    storage_policy_name = Str("Name of the storage policy.")
    volume_path = Str("Path of the disk.", required=True)
