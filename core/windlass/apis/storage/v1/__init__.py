"""storage.k8s.io/v1."""

from windlass.apis.storage.v1 import csi_driver, csi_node, csi_storage_capacity, storage_class, volume_attachment

KINDS = (
    *csi_driver.KINDS,
    *csi_node.KINDS,
    *csi_storage_capacity.KINDS,
    *storage_class.KINDS,
    *volume_attachment.KINDS,
)
