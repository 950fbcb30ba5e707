"""Which claims a pod's own volumes need. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from windlass.apimachinery.meta import is_being_deleted, new_controller_ref
from windlass.apis.core.v1.claimed_volumes import claim_of, is_owned

Obj = dict[str, Any]


class NotOursError(Exception):
    """A claim has the name that a pod's volume needs and is not that pod's."""


def ephemeral_volumes(pod: Mapping[str, Any]) -> Iterator[Obj]:
    """Yield the entries of a pod's volumes that are claimed for the pod and go with it."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("ephemeral"):
            yield volume


def missing_claim(pod: Mapping[str, Any], volume: Obj, claim: Callable[[str], Obj | None]) -> Obj | None:
    """Return the claim to make for a volume, None when it is there. Raises NotOursError."""
    name = claim_of(pod, volume)
    there = claim(name)
    if there is None:
        return new_claim(pod, volume)
    if not is_owned(there, pod):
        namespace = pod["metadata"]["namespace"]
        raise NotOursError(
            f"PVC {namespace}/{name} was not created for pod {namespace}/{pod['metadata']['name']} (pod is not owner)"
        )
    return None


def new_claim(pod: Mapping[str, Any], volume: Obj) -> Obj:
    """Build the claim of a volume; the pod owns it, so it goes with the pod."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    pattern = template.get("metadata") or {}
    metadata: Obj = {
        "name": claim_of(pod, volume),
        "namespace": pod["metadata"]["namespace"],
        "ownerReferences": [new_controller_ref(pod)],
    }
    metadata |= {key: pattern[key] for key in ("labels", "annotations") if pattern.get(key)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def needs_claims(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod is one whose claims are to be there."""
    return not is_being_deleted(pod) and any(True for _ in ephemeral_volumes(pod))
