"""The claims of a StatefulSet's pods: their names, how they are made, and to whom they belong. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.apimachinery.meta import get_controller_of, new_controller_ref
from windlass_controllers.statefulset.identity import claim_name, claim_templates, ordinal_of, ordinals

Obj = dict[str, Any]
Owners = Sequence[Mapping[str, Any]]


def wanted_claims(stateful_set: Mapping[str, Any], ordinal: int) -> Iterator[Obj]:
    """Yield the claims of one pod, as they are to be made."""
    selected = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    for template in claim_templates(stateful_set):
        pattern = template.get("metadata") or {}
        metadata: Obj = {
            "name": claim_name(stateful_set, template, ordinal),
            "namespace": stateful_set["metadata"]["namespace"],
            "labels": {**(pattern.get("labels") or {}), **selected},
        }
        if pattern.get("annotations"):
            metadata["annotations"] = pattern["annotations"]
        if _policy(stateful_set, "whenDeleted") == "Delete":
            metadata["ownerReferences"] = [new_controller_ref(stateful_set)]
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def is_claim_of(stateful_set: Mapping[str, Any], name: str) -> bool:
    """Say whether a claim's name is one that a pod of the set would have."""
    for template in claim_templates(stateful_set):
        prefix = f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-"
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal():
            return True
    return False


def _policy(stateful_set: Mapping[str, Any], moment: str) -> str:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(moment) or "Retain")


def goes_with_a_former_pod(claim: Mapping[str, Any], name: str) -> bool:
    """Say whether a claim belongs to a pod of that name, which is no more: it is about to be collected."""
    owners = claim["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") == "Pod" and owner.get("name") == name for owner in owners)


def wanted_owners(stateful_set: Mapping[str, Any], pod: Mapping[str, Any], claim: Mapping[str, Any]) -> Owners | None:
    """Return the owners that a claim should have by the retention policy; None when it has them.

    A claim that goes with the set is the set's; one of a pod that is too much, and that goes with it, is that pod's. What
    somebody else controls is left alone.
    """
    before = claim["metadata"].get("ownerReferences") or ()
    ours = {stateful_set["metadata"]["uid"], pod["metadata"]["uid"]}
    controller = get_controller_of(claim)
    if controller is not None and controller.get("uid") not in ours:
        stale = controller.get("kind") == "Pod" and controller.get("name") == pod["metadata"]["name"]
        if not stale:
            return None
        ours.add(controller["uid"])
    scaled_down = ordinal_of(stateful_set, pod) not in ordinals(stateful_set)
    owner: Mapping[str, Any] | None = None
    if scaled_down and _policy(stateful_set, "whenScaled") == "Delete":
        owner = pod
    elif _policy(stateful_set, "whenDeleted") == "Delete":
        owner = stateful_set
    if owner is not None and controller is not None and controller.get("uid") == owner["metadata"]["uid"]:
        return None
    others = [reference for reference in before if reference.get("uid") not in ours]
    wanted = [*others, new_controller_ref(owner)] if owner is not None else others
    return None if list(before) == wanted else wanted
