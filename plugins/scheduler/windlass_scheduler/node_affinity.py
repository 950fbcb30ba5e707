"""nodeSelector and node affinity, required and preferred."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from windlass.plugin.interfaces.arrays import Mask, Scores
from windlass.plugin.interfaces.scheduler import MAX_SCORE, NodeColumns, PodInfo, Rejection

REASON = "node(s) didn't match Pod's node affinity/selector"


def _compare(nodes: NodeColumns, key: str, values: Sequence[str], compare: Callable[[Scores, float], Mask]) -> Mask:
    try:
        bound = float(int(values[0]))
    except (ValueError, IndexError):
        return np.zeros(nodes.size, dtype=np.bool_)
    return compare(nodes.label_numbers(key), bound)


def _expression(nodes: NodeColumns, expression: Mapping[str, Any]) -> Mask:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return nodes.label_in(key, values)
    if operator == "NotIn":
        return ~nodes.label_in(key, values)
    if operator == "Exists":
        return nodes.label_exists(key)
    if operator == "DoesNotExist":
        return ~nodes.label_exists(key)
    if operator == "Gt":
        return _compare(nodes, key, values, np.greater)
    if operator == "Lt":
        return _compare(nodes, key, values, np.less)
    return np.zeros(nodes.size, dtype=np.bool_)


def _field(nodes: NodeColumns, expression: Mapping[str, Any]) -> Mask:
    named = nodes.name_in(expression.get("values") or ())
    if expression["key"] != "metadata.name" or expression["operator"] not in {"In", "NotIn"}:
        return np.zeros(nodes.size, dtype=np.bool_)
    return named if expression["operator"] == "In" else ~named


def matches_term(nodes: NodeColumns, term: Mapping[str, Any]) -> Mask:
    """Say which nodes a node selector term matches: all of its expressions and fields; an empty term matches none."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return np.zeros(nodes.size, dtype=np.bool_)
    mask = np.ones(nodes.size, dtype=np.bool_)
    for expression in expressions:
        mask &= _expression(nodes, expression)
    for field in fields:
        mask &= _field(nodes, field)
    return mask


def matches_required(pod: PodInfo, nodes: NodeColumns) -> Mask | None:
    """Say which nodes the pod's nodeSelector and required affinity allow; None when it has neither."""
    requirements = pod.requirements
    required = requirements.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not requirements.node_selector and required is None:
        return None
    mask = np.ones(nodes.size, dtype=np.bool_)
    for key, value in requirements.node_selector.items():
        mask &= nodes.label_in(key, (value,))
    if required is not None:
        any_term = np.zeros(nodes.size, dtype=np.bool_)
        for term in required.get("nodeSelectorTerms") or ():
            any_term |= matches_term(nodes, term)
        mask &= any_term
    return mask


class NodeAffinity:
    """Filter: nodeSelector and all required terms. Score: the share of preferred weight that the node matches."""

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """See `FilterPlugin`."""
        mask = matches_required(pod, nodes)
        return () if mask is None else (Rejection(REASON, ~mask, unresolvable=True),)

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """See `ScorePlugin`."""
        preferred = pod.requirements.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        total = sum(term["weight"] for term in preferred)
        if not total:
            return None
        scores: Scores = np.zeros(nodes.size, dtype=np.float64)
        for term in preferred:
            scores += matches_term(nodes, term["preference"]) * float(term["weight"])
        scores *= MAX_SCORE / total
        return scores
