"""What may change in the spec of an existing pod."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery.field_errors import forbidden, invalid, required
from windlass.apimachinery.meta import deep_copy_json
from windlass.errors import FieldError

REFUSAL = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
GATED = "schedulingGates"


def validate_pod_spec_update(new: Mapping[str, Any], old: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check an update of a pod's spec. Both specs are decoded and defaulted; `path` is the spec's."""
    for field in ("containers", "initContainers"):
        if len(new.get(field) or []) != len(old.get(field) or []):
            return [forbidden(f"{path}.{field}", "pod updates may not add or remove containers")]
    found = [
        *_validate_images(new, path),
        *_validate_deadline(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"), path),
        *_validate_tolerations(new.get("tolerations") or [], old.get("tolerations") or [], f"{path}.tolerations"),
        *_validate_gates(new, old, path),
    ]
    if not found and _without_changeable(new, old) != _without_changeable(old, old):
        found.append(forbidden(path, REFUSAL))
    return found


def _validate_images(new: Mapping[str, Any], path: str) -> list[FieldError]:
    return [required(f"{path}.{field}[{index}].image")
            for field in ("containers", "initContainers")
            for index, container in enumerate(new.get(field) or []) if not container.get("image")]


def _validate_deadline(new: int | None, old: int | None, path: str) -> list[FieldError]:
    item = f"{path}.activeDeadlineSeconds"
    if old is None or new == old:
        return []
    if new is None:
        return [invalid(item, new, "must not update from a positive integer to nil value")]
    if new > old:
        return [invalid(item, new, "must be less than or equal to previous value")]
    return []


def _validate_tolerations(new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]],
                          path: str) -> list[FieldError]:
    kept = [_without_seconds(toleration) for toleration in new]
    if all(_without_seconds(toleration) in kept for toleration in old):
        return []
    return [forbidden(path, "existing toleration can not be modified except its tolerationSeconds")]


def _without_seconds(toleration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _validate_gates(new: Mapping[str, Any], old: Mapping[str, Any], path: str) -> list[FieldError]:
    before = {gate.get("name") for gate in old.get(GATED) or []}
    return [forbidden(f"{path}.{GATED}[{index}]",
                      f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'")
            for index, gate in enumerate(new.get(GATED) or []) if gate.get("name") not in before]


def _without_changeable(spec: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `spec` in which all that may change reads as in `old`."""
    copy: dict[str, Any] = deep_copy_json({key: value for key, value in spec.items() if value not in (None, [], {})})
    for field in ("activeDeadlineSeconds", "tolerations", GATED):
        copy[field] = old.get(field)
    if (old.get("terminationGracePeriodSeconds") or 0) < 0:
        copy["terminationGracePeriodSeconds"] = old.get("terminationGracePeriodSeconds")
    if old.get(GATED) and _node_selector_grew(spec, old):
        copy["nodeSelector"] = old.get("nodeSelector")
    for field in ("containers", "initContainers"):
        for container in copy.get(field) or []:
            container.pop("image", None)
    return copy


def _node_selector_grew(spec: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    before, after = old.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    return before.items() <= after.items()
