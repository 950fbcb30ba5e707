"""Checks of PersistentVolumes. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import forbidden, immutable, invalid, invalid_each, not_supported, required
from windlass.apis.core.v1.access_modes import validate_class_name, validate_modes, validate_positive
from windlass.apis.core.v1.mount_validation import validate_no_backsteps
from windlass.apis.core.v1.placement_validation import validate_node_selector
from windlass.apis.core.v1.volume_validation import validate_source
from windlass.errors import FieldError

SOURCES = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)  # fmt: skip
SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef",
           "nodeExpandSecretRef")  # fmt: skip
MAX_DRIVER_LENGTH = 63
Spec = Mapping[str, Any]


def validate_volume_spec(spec: Spec, path: str, *, inline: bool = False) -> list[FieldError]:
    """Check a PersistentVolumeSpec; one that stands inline in an attachment has a CSI source and no claim."""
    found = validate_modes(spec.get("accessModes") or [], f"{path}.accessModes", "")
    if not inline:
        found += _validate_capacity(spec.get("capacity") or {}, f"{path}.capacity")
    found += _validate_affinity(spec.get("nodeAffinity"), f"{path}.nodeAffinity")
    found += _validate_sources(spec, path)
    host_path = (spec.get("hostPath") or {}).get("path")
    if host_path == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(forbidden(f"{path}.persistentVolumeReclaimPolicy",
                               "may not be 'recycle' for a hostPath mount of '/'"))
    return found + validate_class_name(spec.get("storageClassName"), f"{path}.storageClassName")


def _validate_capacity(capacity: Spec, path: str) -> list[FieldError]:
    if not capacity:
        return [required(path)]
    if set(capacity) != {"storage"}:
        return [not_supported(path, dict(capacity), ("storage",))]
    return validate_positive(capacity["storage"], f"{path}[storage]")


def _validate_affinity(affinity: Spec | None, path: str) -> list[FieldError]:
    if affinity is None:
        return []
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    return validate_node_selector(affinity["required"], f"{path}.required")


def _validate_sources(spec: Spec, path: str) -> list[FieldError]:
    given = [source for source in SOURCES if spec.get(source) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    found = [forbidden(f"{path}.{source}", "may not specify more than 1 volume type") for source in given[1:]]
    source, place = spec[given[0]], f"{path}.{given[0]}"
    if given[0] == "local":
        if spec.get("nodeAffinity") is None:
            found.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
        return found + _validate_local(source, place)
    if given[0] == "csi":
        return found + _validate_csi(source, place)
    return found + validate_source(given[0], source, place)


def _validate_local(source: Spec, path: str) -> list[FieldError]:
    value = source.get("path") or ""
    return validate_no_backsteps(value, f"{path}.path") if value else [required(f"{path}.path")]


def validate_driver_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a CSI driver."""
    if not name:
        return [required(path)]
    if len(name) > MAX_DRIVER_LENGTH:
        return [invalid(path, name, names.max_length_message(MAX_DRIVER_LENGTH))]
    return invalid_each(path, name, names.is_dns1123_subdomain(name.lower()))


def _validate_csi(source: Spec, path: str) -> list[FieldError]:
    found = validate_driver_name(source.get("driver") or "", f"{path}.driver")
    if not source.get("volumeHandle"):
        found.append(required(f"{path}.volumeHandle"))
    for field in SECRETS:
        reference = source.get(field)
        if reference is not None:
            found += [required(f"{path}.{field}.{key}") for key in ("name", "namespace") if not reference.get(key)]
    return found


def validate_volume_update(new: Spec, old: Spec, path: str) -> list[FieldError]:
    """Keep where the data is, whether it is a block device, and, once they are named, the nodes that reach it."""
    found = []
    if any(_settled(source, new) != _settled(source, old) for source in SOURCES):
        found.append(forbidden(f"{path}.persistentvolumesource",
                               "spec.persistentvolumesource is immutable after creation"))
    found += immutable(f"{path}.volumeMode", new.get("volumeMode"), old.get("volumeMode"))
    if old.get("nodeAffinity") is not None:
        found += immutable(f"{path}.nodeAffinity", new.get("nodeAffinity"), old.get("nodeAffinity"))
    return found


def _settled(source: str, spec: Spec) -> Any:
    """Return a source without the secrets for growing, which may be named later."""
    value = spec.get(source)
    if source != "csi" or value is None:
        return value
    return {key: part for key, part in value.items() if key not in ("controllerExpandSecretRef", "nodeExpandSecretRef")}
