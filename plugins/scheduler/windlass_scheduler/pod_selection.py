"""Which of the pods on nodes a pod's terms select, as counts per node."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from windlass.apimachinery.selectors import from_label_selector
from windlass.plugin.interfaces.arrays import Counts
from windlass.plugin.interfaces.scheduler import NodeColumns, PodRequirements

Selects = Callable[[PodRequirements], bool]


def _with_label_keys(term: Mapping[str, Any], owner: PodRequirements) -> Mapping[str, Any]:
    """Merge `matchLabelKeys` and `mismatchLabelKeys` into the term's selector, with the owner's values."""
    selector = term.get("labelSelector")
    keys = [(key, "In") for key in term.get("matchLabelKeys") or ()]
    keys += [(key, "NotIn") for key in term.get("mismatchLabelKeys") or ()]
    added = [
        {"key": key, "operator": operator, "values": [owner.labels[key]]}
        for key, operator in keys
        if key in owner.labels
    ]
    if selector is None or not added:
        return selector  # type: ignore[return-value]
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *added]}


def namespace_selector_is_unsupported(term: Mapping[str, Any]) -> bool:
    """Say whether the term selects namespaces by labels, which the scheduler does not see. `{}` selects all."""
    return bool(term.get("namespaceSelector"))


def selects(term: Mapping[str, Any], owner: PodRequirements) -> Selects:
    """Return whether pods of a class are selected by a term of `owner`'s: in its namespaces, and by its labels."""
    label_selector = from_label_selector(_with_label_keys(term, owner))
    namespaces = frozenset(term.get("namespaces") or ())
    everywhere = term.get("namespaceSelector") == {}
    if not namespaces and term.get("namespaceSelector") is None:
        namespaces = frozenset({owner.namespace})

    def selected(other: PodRequirements) -> bool:
        return (everywhere or other.namespace in namespaces) and label_selector.matches(other.labels)

    return selected


def count_selected(nodes: NodeColumns, selected: Selects) -> Counts:
    """Return how many selected pods each node has."""
    counts: Counts = np.zeros(nodes.size, dtype=np.int64)
    for requirements in nodes.placed_classes():
        if selected(requirements):
            counts += nodes.class_counts(requirements)
    return counts


def sum_by_domain(counts: Counts, domains: Counts) -> Counts:
    """Return for each node the sum over its domain; 0 where it has none (-1)."""
    sums: Counts = np.bincount(domains + 1, weights=counts, minlength=1).astype(np.int64)
    sums[0] = 0
    return sums[domains + 1]
