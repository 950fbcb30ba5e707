"""Which claims a pod uses, whether they are bound, and where their volumes can be used. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.apimachinery.quantity import int_value
from windlass.apis.core.v1.node_selection import matches_term

Obj = Mapping[str, Any]
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MADE_BY_NODE = "volume.windlass.dev/node"
"""On a PersistentVolume: the node whose agent made it, and alone grows and removes it."""
WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"
READ_WRITE_ONCE_POD = "ReadWriteOncePod"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
PROVISIONER_NODE = "provisioner"
"""Value of a node's label whose key is a provisioner's name: volumes can be made there."""
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def annotations(obj: Obj) -> Mapping[str, str]:
    """Return an object's annotations, none when it has none."""
    return obj["metadata"].get("annotations") or {}


def claim_of(pod: Obj, volume: Obj) -> str:
    """Return the name of the claim behind an entry of a pod's volumes, '' when there is none behind it."""
    if volume.get("persistentVolumeClaim"):
        return str(volume["persistentVolumeClaim"].get("claimName") or "")
    if volume.get("ephemeral"):
        return f"{pod['metadata']['name']}-{volume['name']}"
    return ""


def claims_of(pod: Obj) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether it is ephemeral) of each claim that a pod uses, each once."""
    seen = set()
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        name = claim_of(pod, volume)
        if name and name not in seen:
            seen.add(name)
            yield name, bool(volume.get("ephemeral"))


def is_owned(claim: Obj, pod: Obj) -> bool:
    """Say whether the pod controls the claim, as the claim of an ephemeral volume must be."""
    uid = pod["metadata"].get("uid")
    return any(owner.get("controller") and owner.get("uid") == uid for owner in claim["metadata"].get("ownerReferences") or ())


def is_bound(claim: Obj) -> bool:
    """Say whether claim and volume have found each other for good."""
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    return bool(spec.get("volumeName")) and status.get("phase") == "Bound"


def is_claimed_by(volume: Obj, claim: Obj) -> bool:
    """Say whether a PersistentVolume is this very claim's."""
    reference = (volume.get("spec") or {}).get("claimRef") or {}
    meta = claim["metadata"]
    same = (reference.get("namespace"), reference.get("name")) == (meta.get("namespace"), meta["name"])
    return same and reference.get("uid") in (None, "", meta.get("uid"))


def node_terms(volume: Obj) -> Sequence[Obj] | None:
    """Return the node selector terms of which a node must meet one to use a volume; None when every node may."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    return None if required is None else required.get("nodeSelectorTerms") or ()


def fits_node(volume: Obj, node: Obj) -> bool:
    """Say whether a node may use a volume."""
    terms = node_terms(volume)
    return terms is None or any(matches_term(node, term) for term in terms)


def source_of(volume: Obj) -> str:
    """Return what serves a PersistentVolume: the key of its source (`local`, `nfs`), or its CSI driver's name."""
    spec = volume.get("spec") or {}
    csi = spec.get("csi")
    if csi:
        return str(csi.get("driver") or "")
    return next((key for key, value in spec.items() if key in SOURCES and value), "")


def storage_of(resources: Obj | None) -> int:
    """Return the bytes of `storage` in a resource list, 0 when it has none."""
    written = (resources or {}).get("storage")
    return int_value(str(written)) if written else 0


SOURCES = frozenset({
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
})  # fmt: skip
"""Keys of a PersistentVolume's spec that say where its content is, beside `csi`."""
