"""One step of the binder: at most one write, and what is told. Pure.

Claim and volume are bound by four writes: the volume names the claim, the volume is Bound, the claim names the volume,
the claim is Bound. Each is decided from what is there, so a binder that dies after any of them goes on with the next.
The first decides: two claims that want one volume write the same object, and one of them loses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.apis.core.v1.access_modes import storage_class_of
from windlass.apis.core.v1.claimed_volumes import BIND_COMPLETED, annotations
from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from windlass_controllers.persistentvolume.matching import claim_ref

Obj = dict[str, Any]
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"


@dataclass(frozen=True, slots=True)
class Telling:
    """An event about the object of the step."""

    reason: str
    message: str
    type: str = "Normal"


@dataclass(frozen=True, slots=True)
class Step:
    """Write `obj` (None: nothing), tell `telling` about the object that the step is for, look at `other` next."""

    resource: Resource = PERSISTENTVOLUMECLAIMS
    obj: Obj | None = None
    subresource: str = ""
    telling: Telling | None = None
    other: str = ""


NOTHING = Step()


def with_annotations(obj: Obj, values: Mapping[str, str | None]) -> Obj:
    """Return a copy with annotations set, or taken away (None)."""
    found = {**annotations(obj), **values}
    metadata = {**obj["metadata"], "annotations": {key: value for key, value in found.items() if value is not None}}
    return {**obj, "metadata": metadata}


def reference_to(claim: Mapping[str, Any]) -> Obj:
    """Return the claimRef of a volume that is a claim's."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }


def bind(claim: Obj, volume: Obj, now: str) -> Step:
    """Return the next of the four writes, NOTHING when all are done."""
    if claim_ref(volume).get("uid") != claim["metadata"]["uid"]:
        named = {**volume, "spec": {**volume["spec"], "claimRef": reference_to(claim)}}
        if not claim_ref(volume):
            named = with_annotations(named, {BOUND_BY_CONTROLLER: "yes"})
        return Step(PERSISTENTVOLUMES, named)
    if phase_of(volume) != "Bound":
        return volume_phase(volume, "Bound", now)
    return _bind_claim(claim, volume)


def _bind_claim(claim: Obj, volume: Obj) -> Step:
    name = volume["metadata"]["name"]
    if claim["spec"].get("volumeName") != name:
        named = {**claim, "spec": {**claim["spec"], "volumeName": name}}
        return Step(PERSISTENTVOLUMECLAIMS, with_annotations(named, {BOUND_BY_CONTROLLER: "yes", BIND_COMPLETED: "yes"}))
    if BIND_COMPLETED not in annotations(claim):
        return Step(PERSISTENTVOLUMECLAIMS, with_annotations(claim, {BIND_COMPLETED: "yes"}))
    status = claim.get("status") or {}
    wanted = {**status, "phase": "Bound", "accessModes": list(volume["spec"].get("accessModes") or ())}
    if status.get("phase") != "Bound" or "storage" not in (status.get("capacity") or {}):
        # Later differences are meant: a volume has grown, and its file system has not yet.
        wanted["capacity"] = {"storage": volume["spec"]["capacity"]["storage"]}
    return NOTHING if wanted == status else Step(PERSISTENTVOLUMECLAIMS, {**claim, "status": wanted}, "status")


def claim_phase(claim: Obj, phase: str, telling: Telling | None = None) -> Step:
    """Give a claim without a volume its phase."""
    status = claim.get("status") or {}
    gone = ("accessModes", "capacity", "phase")
    wanted = {"phase": phase, **{key: value for key, value in status.items() if key not in gone}}
    written = None if wanted == status else {**claim, "status": wanted}
    return Step(PERSISTENTVOLUMECLAIMS, written, "status", telling)


def phase_of(obj: Mapping[str, Any]) -> str:
    """Return the phase of a claim or volume."""
    return str((obj.get("status") or {}).get("phase") or "")


def volume_phase(volume: Obj, phase: str, now: str, failure: Telling | None = None) -> Step:
    """Give a volume its phase, and the failure that led to it."""
    status: Obj = {"phase": phase, "lastPhaseTransitionTime": now}
    if failure is not None:
        status |= {"reason": failure.reason, "message": failure.message}
    return Step(PERSISTENTVOLUMES, {**volume, "status": status}, "status", failure)


def class_key(obj: Mapping[str, Any]) -> str:
    """Return the index value of a claim's or volume's class."""
    return f"class/{storage_class_of(obj)}"
