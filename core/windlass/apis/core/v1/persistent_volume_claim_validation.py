"""Checks of claims, of their templates in pods and StatefulSets, and of what may change. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.field_errors import forbidden, invalid, required
from windlass.apimachinery.quantity import compare
from windlass.apis.core.v1.access_modes import validate_class_name, validate_modes, validate_positive
from windlass.errors import FieldError

SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
FROZEN = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
Spec = Mapping[str, Any]


def validate_claim_spec(spec: Spec, path: str) -> list[FieldError]:
    """Check a PersistentVolumeClaimSpec."""
    found = validate_modes(spec.get("accessModes") or [], f"{path}.accessModes", "at least 1 access mode is required")
    size = requested_storage(spec)
    if size is None:
        found.append(required(f"{path}.resources[storage]"))
    else:
        found += validate_positive(size, f"{path}.resources[storage]")
    found += validate_class_name(spec.get("storageClassName"), f"{path}.storageClassName")
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            found += _validate_data_source(spec[field], f"{path}.{field}")
    if spec.get("dataSource") is not None and _identity(spec["dataSource"]) != _identity(spec.get("dataSourceRef")):
        found.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))
    return found


def requested_storage(spec: Spec) -> str | None:
    """Return the size that is asked for."""
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return None if size is None else str(size)


def _identity(source: Spec | None) -> tuple[str, str, str] | None:
    if source is None:
        return None
    return source.get("apiGroup") or "", source.get("kind") or "", source.get("name") or ""


def _validate_data_source(source: Spec, path: str) -> list[FieldError]:
    found = [required(f"{path}.{field}") for field in ("name", "kind") if not source.get(field)]
    kind = source.get("kind") or ""
    if not source.get("apiGroup") and kind != "PersistentVolumeClaim":
        found.append(invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    return found


def normalize_data_sources(spec: dict[str, Any]) -> None:
    """Copy one spelling of the data source to the other; the old one names only claims and snapshots. In place."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference is not None:
        reference.pop("namespace", None)  # sources of other namespaces are an alpha feature, off as in Kubernetes
    if source is not None and reference is None:
        if _is_classic(source):
            spec["dataSourceRef"] = dict(source)
        else:
            spec.pop("dataSource")
    elif source is None and reference is not None and _is_classic(reference):
        spec["dataSource"] = dict(reference)


def _is_classic(source: Spec) -> bool:
    kind = (source.get("apiGroup") or "", source.get("kind"))
    return kind in (("", "PersistentVolumeClaim"), (SNAPSHOT_GROUP, "VolumeSnapshot"))


def validate_claim_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Say what an update of a claim changes that it may not."""
    after, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    bound = (old.get("status") or {}).get("phase") == "Bound"
    found = _validate_resize(after, before, old) if bound else []
    if not before.get("volumeName"):
        after.pop("volumeName", None)
        before.pop("volumeName", None)
        if before.get("storageClassName") is None:
            after.pop("storageClassName", None)  # a default class that came later is written in afterwards
    if bound:
        for spec in (after, before):
            spec.pop("volumeAttributesClassName", None)
            spec["resources"] = _without_size(spec.get("resources") or {})
    changed = any(after.get(name) != before.get(name) for name in after.keys() | before.keys())
    return [*found, forbidden("spec", FROZEN)] if changed else found


def _validate_resize(after: Spec, before: Spec, old: Mapping[str, Any]) -> list[FieldError]:
    """Allow growth; a size that could not be reached may be taken back to something above what there is."""
    wanted, former = requested_storage(after), requested_storage(before)
    if wanted is None or former is None or compare(wanted, former) >= 0:
        return []
    there = ((old.get("status") or {}).get("capacity") or {}).get("storage")
    if there is not None and compare(wanted, str(there)) > 0:
        return []
    return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]


def _without_size(resources: Spec) -> dict[str, Any]:
    requests = {name: amount for name, amount in (resources.get("requests") or {}).items() if name != "storage"}
    return {**resources, "requests": requests}
