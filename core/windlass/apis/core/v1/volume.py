"""Volumes of a pod."""

from windlass.apimachinery.schema import Nested, Quantity, Str
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.core.v1.volume_claim import EphemeralVolumeSource, PersistentVolumeClaimVolumeSource
from windlass.apis.core.v1.volume_cloud import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CinderVolumeSource,
    GCEPersistentDiskVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from windlass.apis.core.v1.volume_config import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeSource,
    ProjectedVolumeSource,
    SecretVolumeSource,
)
from windlass.apis.core.v1.volume_network import (
    CephFSVolumeSource,
    CSIVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
)


class EmptyDirVolumeSource(CoreSchema):
    """A folder that starts empty and goes with the pod."""

    medium = Str("Empty for the node's disk, Memory for a file system in memory.")
    size_limit = Quantity("The most that may be stored.")


class GitRepoVolumeSource(CoreSchema):
    """A checked-out git repository; kept so that manifests can be read."""

    directory = Str("Folder to check out into.")
    repository = Str("Address of the repository.", required=True)
    revision = Str("Commit to check out.")


class HostPathVolumeSource(CoreSchema):
    """A file or folder of the node."""

    path = Str("Path on the node.", required=True)
    type = Str("What must be at the path, or is made there; empty checks nothing.", default="",
               enum=("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
                     "Socket"))


class ImageVolumeSource(CoreSchema):
    """The content of an image."""

    pull_policy = Str("When to pull the image; Always for the tag latest, else IfNotPresent.",
                      enum=("Always", "IfNotPresent", "Never"))
    reference = Str("Image to mount.")


class Volume(CoreSchema):
    """A named volume of a pod; exactly one source is given, emptyDir when none is."""

    aws_elastic_block_store = Nested("A disk of AWS.", AWSElasticBlockStoreVolumeSource)
    azure_disk = Nested("A disk of Azure.", AzureDiskVolumeSource)
    azure_file = Nested("A file share of Azure.", AzureFileVolumeSource)
    cephfs = Nested("A folder of a Ceph file system.", CephFSVolumeSource)
    cinder = Nested("A disk of OpenStack.", CinderVolumeSource)
    config_map = Nested("Files from a ConfigMap.", ConfigMapVolumeSource)
    csi = Nested("A volume that a CSI driver makes for the pod.", CSIVolumeSource)
    downward_api = Nested("Files from fields of the pod.", DownwardAPIVolumeSource, data_key="downwardAPI")
    empty_dir = Nested("A folder that starts empty.", EmptyDirVolumeSource)
    ephemeral = Nested("A volume that is claimed for the pod and goes with it.", EphemeralVolumeSource)
    fc = Nested("A disk on a Fibre Channel.", FCVolumeSource)
    flex_volume = Nested("A volume that an exec-based driver mounts.", FlexVolumeSource)
    flocker = Nested("A Flocker dataset.", FlockerVolumeSource)
    gce_persistent_disk = Nested("A disk of Google's cloud.", GCEPersistentDiskVolumeSource)
    git_repo = Nested("A checked-out git repository.", GitRepoVolumeSource)
    glusterfs = Nested("A Gluster volume.", GlusterfsVolumeSource)
    host_path = Nested("A file or folder of the node.", HostPathVolumeSource)
    image = Nested("The content of an image.", ImageVolumeSource)
    iscsi = Nested("A disk of an iSCSI target.", ISCSIVolumeSource)
    name = Str("Name of the volume, unique in the pod.", required=True)
    nfs = Nested("A folder of an NFS server.", NFSVolumeSource)
    persistent_volume_claim = Nested("The volume that a claim is bound to.", PersistentVolumeClaimVolumeSource)
    photon_persistent_disk = Nested("A disk of a Photon controller.", PhotonPersistentDiskVolumeSource)
    portworx_volume = Nested("A Portworx volume.", PortworxVolumeSource)
    projected = Nested("Several sources in one folder.", ProjectedVolumeSource)
    quobyte = Nested("A Quobyte volume.", QuobyteVolumeSource)
    rbd = Nested("A Ceph block device.", RBDVolumeSource)
    scale_io = Nested("A ScaleIO volume.", ScaleIOVolumeSource, data_key="scaleIO")
    secret = Nested("Files from a Secret.", SecretVolumeSource)
    storageos = Nested("A StorageOS volume.", StorageOSVolumeSource)
    vsphere_volume = Nested("A disk of vSphere.", VsphereVirtualDiskVolumeSource)
