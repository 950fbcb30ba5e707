"""What is next for a claim and for a volume, as Kubernetes' binder has it. Pure.

A claim is bound for good once it says so (`pv.kubernetes.io/bind-completed`); then it can only stay so or be Lost. Until
then it gets the volume that it names, or one that was kept for it, or the smallest that fits, or one is made by its class's
provisioner, who is asked by an annotation. A volume follows its claim: Available, Bound, Released, and what is reclaimed
then is up to the driver that made it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.core.v1.access_modes import storage_class_of
from windlass.apis.core.v1.claimed_volumes import (
    BIND_COMPLETED,
    NO_PROVISIONER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    WAIT_FOR_FIRST_CONSUMER,
    annotations,
    is_claimed_by,
)
from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from windlass.apis.storage.v1.storage_class import is_default_class
from windlass_controllers.persistentvolume.matching import claim_ref, default_class, find_volume, has_class, mismatch
from windlass_controllers.persistentvolume.steps import (
    BOUND_BY_CONTROLLER,
    NOTHING,
    Step,
    Telling,
    bind,
    claim_phase,
    phase_of,
    volume_phase,
    with_annotations,
)

Obj = dict[str, Any]
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
NO_CLASS = Telling("FailedBinding", "no persistent volumes available for this claim and no storage class is set")
WAITS = Telling("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
NO_PLUGIN = f"no volume plugin matched name: {NO_PROVISIONER}"


@dataclass(frozen=True, slots=True)
class View:
    """What a claim is decided on. `candidates` are the volumes of the claim's class and those that name the claim."""

    volume: Callable[[str], Obj | None]
    candidates: Callable[[Mapping[str, Any]], Iterable[Obj]]
    classes: Callable[[], Iterable[Obj]]
    storage_class: Callable[[str], Obj | None]
    node: Callable[[str], Obj | None]


def plan_claim(claim: Obj, view: View, now: str) -> Step:
    """Return the next step for a claim."""
    if BIND_COMPLETED in annotations(claim):
        return _keep_bound(claim, view, now)
    if is_being_deleted(claim):
        return NOTHING
    name = claim["spec"].get("volumeName")
    return _bind_named(claim, name, view, now) if name else _find(claim, view, now)


def _keep_bound(claim: Obj, view: View, now: str) -> Step:
    name = claim["spec"].get("volumeName")
    if not name:
        return _lost(claim, "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
    volume = view.volume(name)
    if volume is None:
        return _lost(claim, "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    if claim_ref(volume) and not is_claimed_by(volume, claim):
        text = "Two claims are bound to the same volume, this one is bound incorrectly"
        return _lost(claim, text, "ClaimMisbound")
    return bind(claim, volume, now)


def _lost(claim: Obj, text: str, reason: str = "ClaimLost") -> Step:
    return claim_phase(claim, "Lost", Telling(reason, text, "Warning"))


def _bind_named(claim: Obj, name: str, view: View, now: str) -> Step:
    """Bind a claim to the volume that it names, as soon as that is there and nobody else's."""
    volume = view.volume(name)
    if volume is None:
        return claim_phase(claim, "Pending", Telling("FailedBinding", f'volume "{name}" not found.'))
    if claim_ref(volume):
        if is_claimed_by(volume, claim):
            return bind(claim, volume, now)
        taken = Telling("FailedBinding", f'volume "{name}" already bound to a different claim.', "Warning")
        return claim_phase(claim, "Pending", taken)
    why = mismatch(claim, volume) or ("volume is being deleted" if is_being_deleted(volume) else "")
    if why:
        text = f'Cannot bind to requested volume "{name}": {why}'
        return claim_phase(claim, "Pending", Telling("VolumeMismatch", text, "Warning"))
    return bind(claim, volume, now)


def _find(claim: Obj, view: View, now: str) -> Step:
    name = storage_class_of(claim)
    storage_class = view.storage_class(name) if name else None
    delayed = (storage_class or {}).get("volumeBindingMode") == WAIT_FOR_FIRST_CONSUMER
    selected = annotations(claim).get(SELECTED_NODE) if delayed else None
    node = view.node(selected) if selected else None
    volume = find_volume(claim, view.candidates(claim), delayed=delayed, node=node)
    if volume is not None:
        return bind(claim, volume, now)
    if not has_class(claim):
        default = default_class(view.classes(), is_default_class)
        if default is not None:
            spec = {**claim["spec"], "storageClassName": default["metadata"]["name"]}
            return Step(PERSISTENTVOLUMECLAIMS, {**claim, "spec": spec})
    if delayed and not selected:
        return claim_phase(claim, "Pending", WAITS)
    if not name:
        return claim_phase(claim, "Pending", NO_CLASS)
    return _ask_provisioner(claim, name, storage_class)


def _ask_provisioner(claim: Obj, name: str, storage_class: Obj | None) -> Step:
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return claim_phase(claim, "Pending", Telling("ProvisioningFailed", text, "Warning"))
    provisioner = storage_class["provisioner"]
    if provisioner == NO_PROVISIONER:
        return claim_phase(claim, "Pending", Telling("ProvisioningFailed", NO_PLUGIN, "Warning"))
    telling = Telling(
        "ExternalProvisioning",
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered.",
    )
    asked = {STORAGE_PROVISIONER: provisioner, BETA_PROVISIONER: provisioner}
    if any(annotations(claim).get(key) != value for key, value in asked.items()):
        return Step(PERSISTENTVOLUMECLAIMS, with_annotations(claim, asked), telling=telling)
    return claim_phase(claim, "Pending", telling)


def plan_volume(volume: Obj, claim: Mapping[str, Any] | None, now: str) -> Step:
    """Return the next step for a volume. `claim` is what its claimRef names by namespace and name, if it is there."""
    reference = claim_ref(volume)
    if not reference.get("uid"):
        return _phase(volume, "Available", now)
    if claim is None or claim["metadata"]["uid"] != reference["uid"]:
        return _release(volume, now)
    name = claim["spec"].get("volumeName")
    if not name:
        return Step(other=f"{reference['namespace']}/{reference['name']}")
    if name == volume["metadata"]["name"]:
        return _phase(volume, "Bound", now)
    return _unbind(volume, now)


def _phase(volume: Obj, phase: str, now: str) -> Step:
    return NOTHING if phase_of(volume) == phase else volume_phase(volume, phase, now)


def _unbind(volume: Obj, now: str) -> Step:
    """Take a volume back from a claim that is bound to another one."""
    made_for_it = PROVISIONED_BY in annotations(volume)
    if made_for_it and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return _release(volume, now)
    if BOUND_BY_CONTROLLER in annotations(volume):
        spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
        return Step(PERSISTENTVOLUMES, with_annotations({**volume, "spec": spec}, {BOUND_BY_CONTROLLER: None}))
    kept = {key: value for key, value in claim_ref(volume).items() if key not in ("uid", "resourceVersion")}
    return Step(PERSISTENTVOLUMES, {**volume, "spec": {**volume["spec"], "claimRef": kept}})


def _release(volume: Obj, now: str) -> Step:
    """Say that the claim is gone, then that nobody reclaims the volume where that is so."""
    phase, policy = phase_of(volume), volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"
    if phase not in ("Released", "Failed"):
        return volume_phase(volume, "Released", now)
    if phase == "Failed" or policy == "Retain" or is_being_deleted(volume):
        return NOTHING
    if policy == "Recycle":
        failure = Telling("VolumeFailedRecycle", "No recycler plugin found for the volume!", "Warning")
        return volume_phase(volume, "Failed", now, failure)
    if PROVISIONED_BY in annotations(volume) or volume["spec"].get("csi"):
        return NOTHING  # the driver removes it, and then the object
    name = volume["metadata"]["name"]
    text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    return volume_phase(volume, "Failed", now, Telling("VolumeFailedDelete", text, "Warning"))
