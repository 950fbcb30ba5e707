"""Which volume a claim gets: one that was kept for it, or else the smallest that fits. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apimachinery.selectors import from_label_selector
from windlass.apis.core.v1.access_modes import BETA_CLASS, storage_class_of
from windlass.apis.core.v1.claimed_volumes import annotations, fits_node, is_claimed_by, storage_of

Obj = dict[str, Any]
FILE_SYSTEM = "Filesystem"


def claim_ref(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the claim that a volume names, {} for none."""
    return (volume.get("spec") or {}).get("claimRef") or {}


def requested(claim: Mapping[str, Any]) -> int:
    """Return the bytes that a claim asks for."""
    return storage_of(((claim.get("spec") or {}).get("resources") or {}).get("requests"))


def capacity(volume: Mapping[str, Any]) -> int:
    """Return the bytes that a volume has."""
    return storage_of((volume.get("spec") or {}).get("capacity"))


def has_class(claim: Mapping[str, Any]) -> bool:
    """Say whether a claim names a class, or says by an empty name that it wants none."""
    return claim["spec"].get("storageClassName") is not None or BETA_CLASS in annotations(claim)


def mismatch(claim: Mapping[str, Any], volume: Mapping[str, Any]) -> str:
    """Say, in Kubernetes' words, why a volume cannot be a claim's; '' when it can."""
    wants, has = claim["spec"], volume["spec"]
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if storage_class_of(volume) != storage_class_of(claim):
        return "storageClassName does not match"
    if (wants.get("volumeMode") or FILE_SYSTEM) != (has.get("volumeMode") or FILE_SYSTEM):
        return "incompatible volumeMode"
    if not set(wants.get("accessModes") or ()) <= set(has.get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def find_volume(
    claim: Mapping[str, Any], volumes: Iterable[Obj], *, delayed: bool = False, node: Mapping[str, Any] | None = None
) -> Obj | None:
    """Return the volume for a claim.

    One whose claimRef names the claim comes first. A `delayed` claim, whose class waits for the first pod, takes no
    other until that pod's node is known; then one that this node reaches. Of those that fit, that with the fewest
    access modes to spare, then the smallest, then the first by name.
    """
    there = [volume for volume in volumes if not is_being_deleted(volume)]
    kept = sorted((v for v in there if claim_ref(v) and is_claimed_by(v, claim)), key=_name)
    for volume in kept:
        if not _is_too_small_or_other(claim, volume):
            return volume
    if delayed and node is None:
        return None
    selector = from_label_selector(claim["spec"]["selector"]) if claim["spec"].get("selector") else None
    fitting = [
        volume
        for volume in there
        if is_free(volume)
        and not mismatch(claim, volume)
        and (selector is None or selector.matches(volume["metadata"].get("labels") or {}))
        and (node is None or fits_node(volume, node))
    ]
    return min(fitting, key=lambda v: (len(set(v["spec"]["accessModes"])), capacity(v), _name(v)), default=None)


def is_free(volume: Mapping[str, Any]) -> bool:
    """Say whether any claim may take a volume."""
    return not claim_ref(volume) and (volume.get("status") or {}).get("phase") == "Available"


def _is_too_small_or_other(claim: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    """Check what even a volume that was kept for a claim must have."""
    modes = [(obj["spec"].get("volumeMode") or FILE_SYSTEM) for obj in (claim, volume)]
    return capacity(volume) < requested(claim) or modes[0] != modes[1]


def _name(volume: Mapping[str, Any]) -> str:
    return str(volume["metadata"]["name"])


def default_class(classes: Iterable[Obj], is_default: Any) -> Obj | None:
    """Return the class of claims that name none: the newest of those marked, then the first by name."""
    marked = sorted((one for one in classes if is_default(one)), key=_name)
    return max(marked, key=lambda one: str(one["metadata"].get("creationTimestamp") or ""), default=None)
