"""Checks of a pod's volumes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required
from windlass.apimachinery.quantity import parse_quantity
from windlass.apis.core.v1.env_validation import VOLUME_FIELD_PATHS, validate_field_ref, validate_resource_field_ref
from windlass.apis.core.v1.mount_validation import validate_no_backsteps, validate_relative_path
from windlass.apis.core.v1.persistent_volume_claim_validation import validate_claim_spec
from windlass.apis.core.v1.volume import Volume
from windlass.errors import FieldError

SOURCES = tuple(name for name in Volume.wire_fields() if name != "name")
MODE_RANGE = "must be a number between 0 and 0777 (octal), both inclusive"
MAX_MODE = 0o777
MIN_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 1 << 32
SourceCheck = Callable[[Mapping[str, Any], str], list[FieldError]]


def validate_volumes(volumes: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check names and sources of volumes."""
    found: list[FieldError] = []
    seen = set()
    for index, volume in enumerate(volumes):
        item, name = f"{path}[{index}]", volume.get("name") or ""
        if not name:
            found.append(required(f"{item}.name"))
        elif name in seen:
            found.append(duplicate(f"{item}.name", name))
        else:
            found += invalid_each(f"{item}.name", name, names.is_dns1123_label(name))
        seen.add(name)
        found += _validate_source(volume, item)
    return found


def _validate_source(volume: Mapping[str, Any], path: str) -> list[FieldError]:
    given = [source for source in SOURCES if volume.get(source) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    found = [forbidden(f"{path}.{source}", "may not specify more than 1 volume type") for source in given[1:]]
    return found + validate_source(given[0], volume[given[0]], f"{path}.{given[0]}")


def validate_source(name: str, source: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check one source of a volume by its name, such as `nfs`."""
    check = _CHECKS.get(name)
    return check(source, path) if check else []


def _validate_empty_dir(source: Mapping[str, Any], path: str) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and parse_quantity(limit) < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _validate_host_path(source: Mapping[str, Any], path: str) -> list[FieldError]:
    value = source.get("path") or ""
    return validate_no_backsteps(value, f"{path}.path") if value else [required(f"{path}.path")]


def _validate_nfs(source: Mapping[str, Any], path: str) -> list[FieldError]:
    found = [] if source.get("server") else [required(f"{path}.server")]
    value = source.get("path") or ""
    if not value:
        found.append(required(f"{path}.path"))
    elif not value.startswith("/"):
        found.append(invalid(f"{path}.path", value, "must be an absolute path"))
    return found


def _named(field: str) -> SourceCheck:
    def check(source: Mapping[str, Any], path: str) -> list[FieldError]:
        return [] if source.get(field) else [required(f"{path}.{field}")]

    return check


def _validate_mode(mode: int | None, path: str) -> list[FieldError]:
    return [] if mode is None or 0 <= mode <= MAX_MODE else [invalid(path, mode, MODE_RANGE)]


def _config_files(name_field: str) -> SourceCheck:
    """Make the check of a ConfigMap or Secret shown as files."""

    def check(source: Mapping[str, Any], path: str) -> list[FieldError]:
        found = [] if source.get(name_field) else [required(f"{path}.{name_field}")]
        found += _validate_mode(source.get("defaultMode"), f"{path}.defaultMode")
        for index, item in enumerate(source.get("items") or []):
            found += _validate_key_to_path(item, f"{path}.items[{index}]")
        return found

    return check


def _validate_key_to_path(item: Mapping[str, Any], path: str) -> list[FieldError]:
    found = [] if item.get("key") else [required(f"{path}.key")]
    return found + _validate_file_path(item, path) + _validate_mode(item.get("mode"), f"{path}.mode")


def _validate_file_path(item: Mapping[str, Any], path: str) -> list[FieldError]:
    value = item.get("path") or ""
    if not value:
        return [required(f"{path}.path")]
    found = validate_relative_path(value, f"{path}.path")
    if not found and value.startswith(".."):
        found.append(invalid(f"{path}.path", value, "must not start with '..'"))
    return found


def _validate_downward_api(source: Mapping[str, Any], path: str) -> list[FieldError]:
    found = _validate_mode(source.get("defaultMode"), f"{path}.defaultMode")
    for index, item in enumerate(source.get("items") or []):
        found += _validate_downward_file(item, f"{path}.items[{index}]")
    return found


def _validate_downward_file(item: Mapping[str, Any], path: str) -> list[FieldError]:
    found = _validate_file_path(item, path) + _validate_mode(item.get("mode"), f"{path}.mode")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        if resource is not None:
            found.append(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
        return found + validate_field_ref(field, VOLUME_FIELD_PATHS, f"{path}.fieldRef")
    if resource is not None:
        return found + validate_resource_field_ref(resource, f"{path}.resourceFieldRef", container_required=True)
    return [*found, required(path, "one of fieldRef and resourceFieldRef is required")]


def _validate_token(source: Mapping[str, Any], path: str) -> list[FieldError]:
    found = _validate_file_path(source, path)
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < MIN_TOKEN_SECONDS:
        found.append(invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    elif seconds is not None and seconds > MAX_TOKEN_SECONDS:
        found.append(invalid(f"{path}.expirationSeconds", seconds,
                             "may not specify a duration larger than 2^32 seconds"))
    return found


def _validate_trust_bundle(source: Mapping[str, Any], path: str) -> list[FieldError]:
    name, signer = source.get("name"), source.get("signerName")
    found = _validate_file_path(source, path)
    if name and signer:
        found.append(invalid(path, None, "only one of name and signerName may be used"))
    elif not name and not signer:
        found.append(required(path, "either name or signerName must be specified"))
    elif name and source.get("labelSelector") is not None:
        found.append(invalid(f"{path}.labelSelector", source["labelSelector"],
                             "labelSelector must be unset if name is specified"))
    return found


def _validate_projected(source: Mapping[str, Any], path: str) -> list[FieldError]:
    found = _validate_mode(source.get("defaultMode"), f"{path}.defaultMode")
    for index, projection in enumerate(source.get("sources") or []):
        item = f"{path}.sources[{index}]"
        given = [kind for kind in _PROJECTIONS if projection.get(kind) is not None]
        if not given:
            found.append(required(item, "must specify a projection type"))
            continue
        found += [forbidden(f"{item}.{kind}", "may not specify more than 1 volume type") for kind in given[1:]]
        found += _PROJECTIONS[given[0]](projection[given[0]], f"{item}.{given[0]}")
    return found


def _validate_ephemeral(source: Mapping[str, Any], path: str) -> list[FieldError]:
    template, item = source.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    if template is None:
        return [required(item)]
    return validate_claim_spec(template.get("spec") or {}, f"{item}.spec")


def _validate_csi(source: Mapping[str, Any], path: str) -> list[FieldError]:
    driver = source.get("driver") or ""
    found = invalid_each(f"{path}.driver", driver, names.is_dns1123_subdomain(driver.lower())) if driver else [
        required(f"{path}.driver")]
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        found.append(required(f"{path}.nodePublishSecretRef.name"))
    return found


_PROJECTIONS: Mapping[str, SourceCheck] = {
    "clusterTrustBundle": _validate_trust_bundle,
    "configMap": _config_files("name"),
    "downwardAPI": _validate_downward_api,
    "secret": _config_files("name"),
    "serviceAccountToken": _validate_token,
}
_CHECKS: Mapping[str, SourceCheck] = {
    "emptyDir": _validate_empty_dir,
    "hostPath": _validate_host_path,
    "configMap": _config_files("name"),
    "secret": _config_files("secretName"),
    "downwardAPI": _validate_downward_api,
    "projected": _validate_projected,
    "persistentVolumeClaim": _named("claimName"),
    "ephemeral": _validate_ephemeral,
    "nfs": _validate_nfs,
    "csi": _validate_csi,
    "image": _named("reference"),
    "gitRepo": _named("repository"),
    "flexVolume": _named("driver"),
}
