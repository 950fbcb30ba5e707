"""Checks of a container's environment variables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import invalid, invalid_each, not_supported, required
from windlass.errors import FieldError

ENV_FIELD_PATHS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                   "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
VOLUME_FIELD_PATHS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCE_FIELDS = ("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                   "requests.ephemeral-storage", "requests.memory")
HUGE_PAGE_FIELDS = ("limits.hugepages-", "requests.hugepages-")
SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(?P<key>[^']+)'\]")
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def validate_env(variables: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check a container's `env`."""
    found: list[FieldError] = []
    for index, variable in enumerate(variables):
        item, name = f"{path}[{index}]", variable.get("name") or ""
        found += invalid_each(f"{item}.name", name, names.is_env_var_name(name)) if name else [required(f"{item}.name")]
        if variable.get("valueFrom") is not None:
            found += _validate_source(variable, f"{item}.valueFrom")
    return found


def _validate_source(variable: Mapping[str, Any], path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    given = [field for field in SOURCES if source.get(field) is not None]
    if not given:
        return [invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                        "`secretKeyRef`")]
    if variable.get("value"):
        return [invalid(path, "", "may not be specified when `value` is not empty")]
    if len(given) > 1:
        return [invalid(path, "", "may not have more than one field specified at a time")]
    reference, item = source[given[0]], f"{path}.{given[0]}"
    if given[0] == "fieldRef":
        return validate_field_ref(reference, ENV_FIELD_PATHS, item)
    if given[0] == "resourceFieldRef":
        return validate_resource_field_ref(reference, item)
    return validate_key_ref(reference, item)


def validate_field_ref(reference: Mapping[str, Any], supported: Sequence[str], path: str) -> list[FieldError]:
    """Check a reference to a field of the pod; single labels and annotations are always supported."""
    field_path = reference.get("fieldPath") or ""
    if not field_path:
        return [required(f"{path}.fieldPath")]
    if field_path not in supported and not SUBSCRIPT.fullmatch(field_path):
        return [not_supported(f"{path}.fieldPath", field_path, supported)]
    return []


def validate_resource_field_ref(reference: Mapping[str, Any], path: str, *,
                                container_required: bool = False) -> list[FieldError]:
    """Check a reference to a container's request or limit."""
    found = []
    resource = reference.get("resource") or ""
    if container_required and not reference.get("containerName"):
        found.append(required(f"{path}.containerName"))
    if not resource:
        found.append(required(f"{path}.resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(HUGE_PAGE_FIELDS):
        found.append(not_supported(f"{path}.resource", resource, RESOURCE_FIELDS))
    return found


def validate_key_ref(reference: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check a reference to one key of a ConfigMap or Secret."""
    found = [] if reference.get("name") else [required(f"{path}.name")]
    key = reference.get("key") or ""
    problems = invalid_each(f"{path}.key", key, names.is_config_key(key)) if key else [required(f"{path}.key")]
    return found + problems


def validate_env_from(sources: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check a container's `envFrom`."""
    found = []
    for index, source in enumerate(sources):
        item, prefix = f"{path}[{index}]", source.get("prefix") or ""
        found += invalid_each(f"{item}.prefix", prefix, names.is_env_var_name(prefix)) if prefix else []
        given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
        if not given:
            found.append(invalid(item, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(invalid(item, "", "may not have more than one field specified at a time"))
        elif not source[given[0]].get("name"):
            found.append(required(f"{item}.{given[0]}.name"))
    return found
