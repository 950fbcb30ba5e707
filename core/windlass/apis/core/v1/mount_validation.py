"""Checks of what containers mount: volumes and block devices."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, not_found, required
from windlass.errors import FieldError

BLOCK_SOURCES = ("persistentVolumeClaim", "ephemeral")


def validate_mounts(container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]],
                    path: str) -> list[FieldError]:
    """Check `volumeMounts` and `volumeDevices` of a container; `volumes` are the pod's, by name."""
    found = []
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    paths: set[str] = set()
    mounted: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        item = f"{path}.volumeMounts[{index}]"
        found += _validate_mount(mount, volumes, item, privileged=privileged)
        mount_path = mount.get("mountPath") or ""
        if mount_path and mount_path in paths:
            found.append(invalid(f"{item}.mountPath", mount_path, "must be unique"))
        paths.add(mount_path)
        mounted.add(mount.get("name") or "")
    for index, device in enumerate(container.get("volumeDevices") or []):
        item = f"{path}.volumeDevices[{index}]"
        found += _validate_device(device, volumes, item)
        found += _validate_device_clashes(device, paths, mounted, item)
    return found


def _validate_mount(mount: Mapping[str, Any], volumes: Mapping[str, Any], path: str, *,
                    privileged: bool) -> list[FieldError]:
    name = mount.get("name") or ""
    found = [] if name else [required(f"{path}.name")]
    if name and name not in volumes:
        found.append(not_found(f"{path}.name", name))
    if not mount.get("mountPath"):
        found.append(required(f"{path}.mountPath"))
    for field in ("subPath", "subPathExpr"):
        found += validate_relative_path(mount.get(field) or "", f"{path}.{field}")
    if mount.get("subPath") and mount.get("subPathExpr"):
        found.append(invalid(f"{path}.subPathExpr", mount["subPathExpr"],
                             "subPathExpr and subPath are mutually exclusive"))
    if mount.get("mountPropagation") == "Bidirectional" and not privileged:
        found.append(forbidden(f"{path}.mountPropagation",
                               "Bidirectional mount propagation is available only to privileged containers"))
    if mount.get("recursiveReadOnly") not in (None, "Disabled") and not mount.get("readOnly"):
        found.append(forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true"))
    return found


def _validate_device(device: Mapping[str, Any], volumes: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    name, device_path = device.get("name") or "", device.get("devicePath") or ""
    if not name:
        found.append(required(f"{path}.name"))
    elif name not in volumes:
        found.append(not_found(f"{path}.name", name))
    elif not any(volumes[name].get(source) is not None for source in BLOCK_SOURCES):
        found.append(invalid(f"{path}.name", name, "can only use volume source type of PersistentVolumeClaim or "
                             "Ephemeral for block mode"))
    if not device_path:
        return [*found, required(f"{path}.devicePath")]
    return found + validate_no_backsteps(device_path, f"{path}.devicePath")


def _validate_device_clashes(device: Mapping[str, Any], paths: set[str], mounted: set[str],
                             path: str) -> list[FieldError]:
    found = []
    name, device_path = device.get("name") or "", device.get("devicePath") or ""
    if name in mounted:
        found.append(invalid(f"{path}.name", name, "must not already exist in volumeMounts"))
    if device_path in paths:
        found.append(duplicate(f"{path}.devicePath", device_path))
    paths.add(device_path)
    return found


def validate_no_backsteps(value: str, path: str) -> list[FieldError]:
    """Check that a path does not climb out of where it starts."""
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def validate_relative_path(value: str, path: str) -> list[FieldError]:
    """Check that a path, if given, is relative and stays below where it starts."""
    found = [invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return found + validate_no_backsteps(value, path)
