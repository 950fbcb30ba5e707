"""Namespaces: they stay, Terminating, until nothing is left in them, which `spec.finalizers` says."""

from windlass.apimachinery.scheme import KindDefinition, Obj


def is_namespace(kind: KindDefinition) -> bool:
    """Whether the kind is the core group's Namespace."""
    return kind.kind == "Namespace" and not kind.group


def holds_content(kind: KindDefinition, obj: Obj) -> bool:
    """Whether a namespace still has finalizers of its own."""
    return is_namespace(kind) and bool((obj.get("spec") or {}).get("finalizers"))


def mark_terminating(kind: KindDefinition, obj: Obj) -> None:
    """Set the phase of a namespace that is being deleted."""
    if is_namespace(kind):
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
