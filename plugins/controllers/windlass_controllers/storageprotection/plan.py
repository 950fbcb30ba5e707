"""Whether a claim or a volume may go. Pure.

Each carries a finalizer from its creation on; it is taken away when the object is being deleted and nobody uses it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.core.v1.claimed_volumes import claims_of, is_owned
from windlass_controllers.pods import phase_of

Obj = dict[str, Any]
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"


def is_used(claim: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a pod that has a node uses the claim. One without a node would not be started any more."""
    return any(_uses(pod, claim) for pod in pods if (pod.get("spec") or {}).get("nodeName"))


def _uses(pod: Mapping[str, Any], claim: Mapping[str, Any]) -> bool:
    for name, ephemeral in claims_of(pod):
        if name == claim["metadata"]["name"]:
            # An ephemeral claim goes with its pod, and need not wait for one that has ended.
            return not ephemeral or (is_owned(claim, pod) and phase_of(pod) not in ("Succeeded", "Failed"))
    return False


def wanted_finalizers(obj: Obj, finalizer: str, *, used: bool) -> list[str] | None:
    """Return the finalizers that the object should have; None when they are right."""
    finalizers = list(obj["metadata"].get("finalizers") or ())
    if is_being_deleted(obj):
        return [name for name in finalizers if name != finalizer] if finalizer in finalizers and not used else None
    return None if finalizer in finalizers else [*finalizers, finalizer]
