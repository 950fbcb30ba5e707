"""What a namespace that is being emptied reports, and when it is done. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apimachinery.meta import set_condition

Obj = dict[str, Any]
FINALIZER = "kubernetes"


@dataclass(slots=True)
class Emptying:
    """What one round found. `remaining`: objects by resource; `finalizers`: how many wait for which finalizer."""

    remaining: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    discovery_failures: Mapping[str, str] = field(default_factory=dict)
    content_failures: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left and nothing is unknown."""
        return not (self.remaining or self.discovery_failures or self.content_failures)

    def note(self, resource: str, items: Sequence[Mapping[str, Any]], count: int) -> None:
        """Take note of what is left of a resource."""
        if count:
            self.remaining[resource] = count
        for item in items:
            for finalizer in item["metadata"].get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1


def needs_emptying(namespace: Mapping[str, Any]) -> bool:
    """Say whether the namespace is being deleted and waits for us."""
    finalizers = (namespace.get("spec") or {}).get("finalizers") or ()
    return bool(namespace["metadata"].get("deletionTimestamp")) and FINALIZER in finalizers


def finalized(namespace: Mapping[str, Any]) -> Obj:
    """Return the namespace without our finalizer."""
    spec = namespace.get("spec") or {}
    kept = [finalizer for finalizer in spec.get("finalizers") or () if finalizer != FINALIZER]
    return {**namespace, "spec": {**spec, "finalizers": kept}}


def plan_status(namespace: Mapping[str, Any], found: Emptying, now: str) -> Obj:
    """Return the status that tells why a namespace is still there."""
    conditions = (namespace.get("status") or {}).get("conditions")
    for condition in _conditions(found):
        conditions = set_condition(conditions, condition, now)
    return {**(namespace.get("status") or {}), "phase": "Terminating", "conditions": conditions}


def _conditions(found: Emptying) -> list[Obj]:
    failures = "; ".join(f"{group}: {why}" for group, why in sorted(found.discovery_failures.items()))
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(found.remaining.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(found.finalizers.items()))
    return [
        _condition("NamespaceDeletionDiscoveryFailure", failures, (
            "DiscoveryFailed", "Discovery failed for some groups: ", "ResourcesDiscovered",
            "All resources successfully discovered")),
        _condition("NamespaceDeletionGroupVersionParsingFailure", "", (
            "", "", "ParsedGroupVersions", "All legacy kube types successfully parsed")),
        _condition("NamespaceDeletionContentFailure", "; ".join(found.content_failures), (
            "ContentDeletionFailed", "Failed to delete all resource types: ", "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization")),
        _condition("NamespaceContentRemaining", left, (
            "SomeResourcesRemain", "Some resources are remaining: ", "ContentRemoved",
            "All content successfully removed")),
        _condition("NamespaceFinalizersRemaining", held, (
            "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: ",
            "ContentHasNoFinalizers", "All content-preserving finalizers finished")),
    ]


def _condition(kind: str, trouble: str, words: tuple[str, str, str, str]) -> Obj:
    bad_reason, bad_prefix, good_reason, good_message = words
    if trouble:
        return {"type": kind, "status": "True", "reason": bad_reason, "message": bad_prefix + trouble}
    return {"type": kind, "status": "False", "reason": good_reason, "message": good_message}
