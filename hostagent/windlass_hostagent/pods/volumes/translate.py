"""A container's `volumeMounts` as the runtime wants them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import Mount
from windlass.plugin.interfaces.volume import Published
from windlass_hostagent.pods.env import expand

Obj = dict[str, Any]
CONFIG_ERROR = "CreateContainerConfigError"
PROPAGATIONS = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """One mount. `subpath` is '' for the whole volume; else `mount.host_path` is the volume it lies in."""

    volume: str
    subpath: str
    mount: Mount


def plan_mounts(container: Obj, published: Mapping[str, Published], env: Mapping[str, str]) -> list[PlannedMount]:
    """Plan a container's mounts. Raises RuntimeDriverError(CreateContainerConfigError)."""
    if container.get("volumeDevices"):
        names = ", ".join(device["name"] for device in container["volumeDevices"])
        raise _refused(f"volumeDevices ({names}): block volumes are not supported on this node")
    return [_plan_mount(mount, container, published, env) for mount in container.get("volumeMounts") or ()]


def _plan_mount(mount: Obj, container: Obj, published: Mapping[str, Published], env: Mapping[str, str]) -> PlannedMount:
    name = mount["name"]
    volume = published.get(name)
    if volume is None:
        raise _refused(f'cannot find volume "{name}" to mount into container "{container["name"]}"')
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    propagation = PROPAGATIONS.get(mount.get("mountPropagation") or "", "private")
    if propagation == "rshared" and not privileged:
        raise _refused("Bidirectional mount propagation is available only to privileged containers")
    readonly = bool(mount.get("readOnly")) or volume.readonly
    recursive = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible") and bool(mount.get("readOnly"))
    path = mount["mountPath"]
    target = path if path.startswith("/") else f"/{path}"
    made = Mount(volume.path, target, readonly, propagation, recursive)
    return PlannedMount(name, subpath_of(mount, env), made)


def subpath_of(mount: Obj, env: Mapping[str, str]) -> str:
    """Return the part of the volume that a mount shows, `subPathExpr` expanded. Raises RuntimeDriverError."""
    expression = mount.get("subPathExpr") or ""
    if not expression:
        return _checked(mount.get("subPath") or "")
    for name in _REFERENCE.findall(expression):
        if name not in env:
            raise _refused(f'missing value for "{name}"')
    subpath = expand(expression, env)
    if "`" in subpath:
        raise _refused(f"unable to provision SubPath {subpath!r}: must not contain backticks")
    return _checked(subpath)


def _checked(subpath: str) -> str:
    if subpath.startswith("/"):
        raise _refused(f"error SubPath `{subpath}` must not be an absolute path")
    if ".." in subpath.split("/"):
        raise _refused(f"unable to provision SubPath `{subpath}`: must not contain '..'")
    return subpath


def _refused(message: str) -> RuntimeDriverError:
    return RuntimeDriverError(message, reason=CONFIG_ERROR)
