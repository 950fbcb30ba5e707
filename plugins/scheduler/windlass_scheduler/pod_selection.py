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


def selects(term: Mapping[str, Any], owner: PodRequirements, nodes: NodeColumns) -> Selects:
    """Return whether pods of a class are selected by a term of `owner`'s: in its namespaces, and by its labels.

    Its namespaces are those it names and those that its `namespaceSelector` selects (`{}`: all); without either, the
    owner's.
    """
    label_selector = from_label_selector(_with_label_keys(term, owner))
    namespaces = frozenset(term.get("namespaces") or ())
    by_labels = term.get("namespaceSelector")
    if not namespaces and by_labels is None:
        namespaces = frozenset({owner.namespace})
    namespace_selector = from_label_selector(by_labels)

    def selected(other: PodRequirements) -> bool:
        if not label_selector.matches(other.labels):
            return False
        return other.namespace in namespaces or namespace_selector.matches(nodes.namespace_labels(other.namespace))

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
