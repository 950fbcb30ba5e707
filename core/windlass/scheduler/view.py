"""What plugins see of the node table: all rows or some, as they are or with more pods of one class on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from windlass.apis.core.v1.pod_resources import CPU
from windlass.plugin.interfaces.arrays import Counts, Mask, Scores
from windlass.plugin.interfaces.scheduler import HostPort, NodeInfo, PodRequirements, Taint
from windlass.scheduler.columns import NodeTable


class TableView:
    """Implements `NodeColumns` over `rows` (None: all), imagining `ahead` more pods of the class per row."""

    def __init__(
        self, table: NodeTable, requirements: PodRequirements, rows: Counts | None = None, ahead: Counts | None = None
    ) -> None:
        self._table = table
        self._requirements = requirements
        self._rows = rows
        self._ahead = ahead

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return self._table.size if self._rows is None else len(self._rows)

    def _pick(self, column: Counts) -> Counts:
        return column[: self._table.size] if self._rows is None else column[self._rows]

    def _pick_mask(self, column: Mask) -> Mask:
        return column[: self._table.size] if self._rows is None else column[self._rows]

    def _plus(self, column: Counts, each: int) -> Counts:
        picked = self._pick(column)
        return picked if self._ahead is None or not each else picked + self._ahead * each

    def valid(self) -> Mask:
        """Return which rows hold a node. For the framework."""
        return self._pick_mask(self._table.valid)

    def allocatable(self, resource: str) -> Counts:
        """See `NodeColumns`."""
        index = self._table.resources.get(resource)
        return np.zeros(self.size, dtype=np.int64) if index is None else self._pick(self._table.allocatable[index])

    def requested(self, resource: str) -> Counts:
        """See `NodeColumns`."""
        index = self._table.resource_row(resource)
        return self._plus(self._table.requested[index], self._requirements.requests.get(resource, 0))

    def nonzero_requested(self, resource: str) -> Counts:
        """See `NodeColumns`."""
        column = self._table.nonzero[0 if resource == CPU else 1]
        return self._plus(column, self._requirements.nonzero_requests.get(resource, 0))

    def allowed_pods(self) -> Counts:
        """See `NodeColumns`."""
        return self._pick(self._table.allowed_pods)

    def pod_counts(self) -> Counts:
        """See `NodeColumns`."""
        return self._plus(self._table.pod_counts, 1)

    def unschedulable(self) -> Mask:
        """See `NodeColumns`."""
        return self._pick_mask(self._table.unschedulable)

    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """See `NodeColumns`."""
        return self._table.taint_sets

    def taint_set_codes(self) -> Counts:
        """See `NodeColumns`."""
        return self._pick(self._table.taint_codes)

    def label_codes(self, key: str) -> Counts:
        """See `NodeColumns`."""
        return self._pick(self._table.labels.codes(key))

    def label_exists(self, key: str) -> Mask:
        """See `NodeColumns`."""
        return self.label_codes(key) >= 0

    def label_in(self, key: str, values: Iterable[str]) -> Mask:
        """See `NodeColumns`."""
        return self._table.labels.is_in(key, values, self.label_codes(key))

    def label_numbers(self, key: str) -> Scores:
        """See `NodeColumns`."""
        return self._table.labels.numbers(key, self.label_codes(key))

    def name_in(self, names: Iterable[str]) -> Mask:
        """See `NodeColumns`."""
        mask = np.zeros(self._table.size, dtype=np.bool_)
        for name in names:
            row = self._table.rows.get(name)
            if row is not None:
                mask[row] = True
        return self._pick_mask(mask)

    def host_port_conflicts(self, ports: Sequence[HostPort]) -> Mask:
        """See `NodeColumns`."""
        mask = self._pick_mask(self._table.placements.ports.conflicts(ports, self._table.size))
        if self._ahead is not None and ports:
            # The imagined pods are of the same class, so they hold the same ports.
            mask = mask | (self._ahead > 0)
        return mask

    def owner_pods(self, owner_uid: str) -> Counts:
        """See `NodeColumns`."""
        column = self._table.placements.owner_column(owner_uid, self._table.size)
        return self._plus(column, 1 if owner_uid == self._requirements.owner_uid else 0)

    def placed_classes(self) -> Iterable[PodRequirements]:
        """See `NodeColumns`."""
        return self._table.placements.classes()

    def anti_affinity_classes(self) -> Iterable[PodRequirements]:
        """See `NodeColumns`."""
        return self._table.placements.anti_affinity_classes()

    def class_counts(self, requirements: PodRequirements) -> Counts:
        """See `NodeColumns`."""
        column = self._table.placements.class_column(requirements, self._table.size)
        return self._plus(column, 1 if requirements is self._requirements else 0)

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """See `NodeColumns`."""
        return self._table.namespace_labels.get(namespace, {})

    def node_infos(self) -> Sequence[NodeInfo]:
        """See `NodeColumns`. Rows without a node are left out of answers later, but have an entry here."""
        rows = range(self._table.size) if self._rows is None else self._rows.tolist()
        infos = [self._table.node_info(row) for row in rows]
        if self._ahead is None:
            return infos
        return [self._with_ahead(info, int(count)) for info, count in zip(infos, self._ahead, strict=True)]

    def _with_ahead(self, info: NodeInfo, count: int) -> NodeInfo:
        if not count:
            return info
        requested = dict(info.requested)
        for name, amount in self._requirements.requests.items():
            requested[name] = requested.get(name, 0) + amount * count
        return replace(info, requested=requested, pod_count=info.pod_count + count)
