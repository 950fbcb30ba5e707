"""Checks of security contexts: ranges, and settings that contradict each other."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, required
from windlass.errors import FieldError

ID_RANGE = "must be between 0 and 2147483647, inclusive"
MAX_ID = 2147483647
_SYSCTL_WORD = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL = re.compile(rf"({_SYSCTL_WORD}[\./])*{_SYSCTL_WORD}")
MAX_SYSCTL_LENGTH = 253
SYS_ADMIN = frozenset({"SYS_ADMIN", "CAP_SYS_ADMIN"})


def validate_security_context(context: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """Check a container's security context."""
    context = context or {}
    found = _validate_ids(context, ("runAsUser", "runAsGroup"), path) + _validate_profiles(context, path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            found.append(invalid(path, dict(context),
                                 "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if SYS_ADMIN & set((context.get("capabilities") or {}).get("add") or []):
            found.append(invalid(path, dict(context), "cannot set `allowPrivilegeEscalation` to false and "
                                 "`capabilities.Add` CAP_SYS_ADMIN"))
    return found


def validate_pod_security_context(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check a pod's security context and how it shares the host's namespaces; `path` is the spec's."""
    context, item = spec.get("securityContext") or {}, f"{path}.securityContext"
    found = _validate_ids(context, ("fsGroup", "runAsGroup", "runAsUser"), item) + _validate_profiles(context, item)
    for index, group in enumerate(context.get("supplementalGroups") or []):
        if not 0 <= group <= MAX_ID:
            found.append(invalid(f"{item}.supplementalGroups[{index}]", group, ID_RANGE))
    found += _validate_sysctls(context.get("sysctls") or [], bool(spec.get("hostNetwork")), f"{item}.sysctls")
    return found + _validate_host_namespaces(spec, path)


def _validate_sysctls(sysctls: Sequence[Mapping[str, Any]], host_network: bool, path: str) -> list[FieldError]:  # noqa: FBT001
    """Check the names, each once; of the host's network a pod may change nothing."""
    found, seen = [], set()
    for index, sysctl in enumerate(sysctls):
        name, item = sysctl.get("name") or "", f"{path}[{index}].name"
        if not name:
            found.append(required(item))
        elif len(name) > MAX_SYSCTL_LENGTH or not SYSCTL.fullmatch(name):
            found.append(invalid(item, name, f"must have at most {MAX_SYSCTL_LENGTH} characters and match regex "
                                 f"^{SYSCTL.pattern}$"))
        elif name in seen:
            found.append(duplicate(item, name))
        elif host_network and name.startswith(("net.", "net/")):
            found.append(invalid(item, name, "may not be specified if 'hostNetwork' is true"))
        seen.add(name)
    return found


def _validate_host_namespaces(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        found.append(invalid(f"{path}.securityContext.shareProcessNamespace", True,
                             "ShareProcessNamespace and HostPID cannot both be enabled"))
    if spec.get("hostUsers") is False:
        found += [forbidden(f"{path}.{field}", "when `hostUsers` is false")
                  for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return found


def _validate_ids(context: Mapping[str, Any], fields: tuple[str, ...], path: str) -> list[FieldError]:
    return [invalid(f"{path}.{field}", context[field], ID_RANGE)
            for field in fields
            if context.get(field) is not None and not 0 <= context[field] <= MAX_ID]


def _validate_profiles(context: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for field, word in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile = context.get(field)
        if profile is None:
            continue
        item, local = f"{path}.{field}.localhostProfile", profile.get("localhostProfile")
        if profile.get("type") == "Localhost":
            if not local:
                found.append(required(item, f"must be set when {word} type is Localhost"))
            elif local.startswith("/") or ".." in local.split("/"):
                found.append(invalid(item, local, "must be a relative path without '..'"))
        elif local:
            found.append(invalid(item, local, f"can only be set when {word} type is Localhost"))
    return found
