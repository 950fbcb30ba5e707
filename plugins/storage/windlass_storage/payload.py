"""What a volume of API data holds: ConfigMaps, Secrets and pod fields as files. Pure."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from windlass.apis.core.v1.downward_values import field_value, resource_value
from windlass.errors import VolumeDriverError
from windlass.plugin.interfaces.volume import PublishRequest
from windlass_storage.atomic_writer import FileContent

Obj = Mapping[str, Any]
DEFAULT_MODE = 0o644
ABSENT_KEY = {
    "ConfigMap": "configmap references non-existent config key: {}",
    "Secret": "references non-existent secret key: {}",
}


def content_of(kind: str, obj: Obj) -> dict[str, bytes]:
    """Return the keys of a ConfigMap or Secret as bytes."""
    encoded = obj.get("binaryData" if kind == "ConfigMap" else "data") or {}
    try:
        found = {key: base64.b64decode(value, validate=True) for key, value in encoded.items()}
    except binascii.Error as error:
        raise VolumeDriverError(f"{kind.lower()} holds what is not base64: {error}") from error
    if kind == "ConfigMap":
        found.update({key: value.encode("utf-8", "surrogatepass") for key, value in (obj.get("data") or {}).items()})
    return found


def keyed_files(kind: str, obj: Obj | None, source: Obj, default_mode: int) -> dict[str, FileContent]:
    """Return the files of a ConfigMap or Secret source; an absent object or key is fine only if optional."""
    name, optional = source.get("secretName") or source.get("name") or "", bool(source.get("optional"))
    if obj is None:
        if optional:
            return {}
        raise VolumeDriverError(f'{kind.lower()} "{name}" not found')
    content = content_of(kind, obj)
    if not source.get("items"):
        return {key: FileContent(data, default_mode) for key, data in content.items()}
    files = {}
    for item in source["items"]:
        if item["key"] not in content:
            if optional:
                continue
            raise VolumeDriverError(ABSENT_KEY[kind].format(item["key"]))
        files[item["path"]] = FileContent(content[item["key"]], mode_of(item, default_mode))
    return files


def pod_files(items: Any, request: PublishRequest, default_mode: int) -> dict[str, FileContent]:
    """Return the files of a downwardAPI source."""
    files = {}
    for item in items or ():
        try:
            if item.get("fieldRef"):
                path = item["fieldRef"]["fieldPath"]
                text = field_value(path, request.pod, request.ips, request.host_ips)
            else:
                text = resource_value(item.get("resourceFieldRef") or {}, request.pod, None, request.allocatable)
        except KeyError as error:
            raise VolumeDriverError(f"unsupported reference of file {item.get('path')!r}: {error}") from error
        files[item["path"]] = FileContent(text.encode(), mode_of(item, default_mode))
    return files


def mode_of(item: Obj, default: int) -> int:
    """Return an item's mode."""
    mode = item.get("mode")
    return default if mode is None else int(mode)


def default_mode_of(source: Obj) -> int:
    """Return the mode of files that set none."""
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)
