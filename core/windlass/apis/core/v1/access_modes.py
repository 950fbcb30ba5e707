"""Ways in which a volume may be mounted, and what volumes and claims print and check alike. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import forbidden, invalid, invalid_each, not_supported, required
from windlass.apimachinery.quantity import canonical, parse_quantity
from windlass.errors import FieldError

ONCE, ONCE_POD = "ReadWriteOnce", "ReadWriteOncePod"
SHORT_MODES = {ONCE: "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", ONCE_POD: "RWOP"}
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
UNSET = "<unset>"


def short_modes(modes: Iterable[str] | None) -> str:
    """Return access modes as tables show them, each once and in the usual order."""
    given = set(modes or ())
    return ",".join(short for mode, short in SHORT_MODES.items() if mode in given)


def storage_class_of(obj: Mapping[str, Any]) -> str:
    """Return the class of a volume or claim; empty when it has none."""
    annotations = obj["metadata"].get("annotations") or {}
    if BETA_CLASS in annotations:
        return str(annotations[BETA_CLASS])
    return str((obj.get("spec") or {}).get("storageClassName") or "")


def shown_storage(amounts: Mapping[str, Any] | None) -> str:
    """Return the size among amounts as tables show it; 0 when it is not there."""
    size = (amounts or {}).get("storage")
    return "0" if size is None else canonical(str(size))


def shown_phase(obj: Mapping[str, Any]) -> str:
    """Return the phase, or that the object is going."""
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else (obj.get("status") or {}).get("phase") or ""


def validate_modes(modes: Sequence[str], path: str, missing: str) -> list[FieldError]:
    """Check access modes; ReadWriteOncePod stands alone. `missing` is said when there is none."""
    if not modes:
        return [required(path, missing)]
    found = [not_supported(path, mode, SHORT_MODES) for mode in modes if mode not in SHORT_MODES]
    if ONCE_POD in modes and len(set(modes)) > 1:
        found.append(forbidden(path, f"may not use {ONCE_POD} with other access modes"))
    return found


def validate_positive(value: Any, path: str) -> list[FieldError]:
    """Check an amount of storage."""
    return [] if parse_quantity(str(value)) > 0 else [invalid(path, value, "must be greater than zero")]


def validate_class_name(name: str | None, path: str) -> list[FieldError]:
    """Check the name of a storage class; empty means none."""
    return invalid_each(path, name, names.is_dns1123_subdomain(name)) if name else []
