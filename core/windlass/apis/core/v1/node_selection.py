"""Whether one node is among those that a pod allows: nodeSelector and required node affinity. Pure.

The scheduler asks this of all nodes at once, in columns; whoever has one node in hand asks here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Obj = Mapping[str, Any]


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _expression(labels: Mapping[str, str], expression: Obj) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            ours, bound = _number(value or ""), _number(values[0]) if values else None
            if ours is None or bound is None:
                return False
            return ours > bound if operator == "Gt" else ours < bound
    return False


def matches_term(node: Obj, term: Obj) -> bool:
    """Say whether a node meets all of a node selector term; an empty term matches none."""
    expressions: Sequence[Obj] = term.get("matchExpressions") or ()
    fields: Sequence[Obj] = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    named = {"metadata.name": node["metadata"]["name"]}
    return all(_expression(labels, e) for e in expressions) and all(
        f["key"] in named and _expression(named, f) for f in fields
    )


def matches_node(spec: Obj, node: Obj) -> bool:
    """Say whether a pod spec's nodeSelector and required node affinity allow a node."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(matches_term(node, term) for term in required.get("nodeSelectorTerms") or ())
