"""Answers the question of `post_filter` plugins: would the pod fit if these others were gone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from windlass.plugin.interfaces.scheduler import PodInfo
from windlass.scheduler.batch import BatchPlanner
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.diagnosis import Diagnosis


class TablePreview:
    """Implements `Preview` over the node table, for one pod that found no node."""

    def __init__(
        self,
        planner: BatchPlanner,
        table: NodeTable,
        pod: PodInfo,
        diagnosis: Diagnosis,
        *,
        budgets: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        self._planner = planner
        self._budgets = budgets
        self._table = table
        self._pod = pod
        self._diagnosis = diagnosis

    def candidates(self) -> Sequence[str]:
        """See `Preview`."""
        return [self._table.names[row] for row in self._diagnosis.candidates]

    def total(self) -> int:
        """See `Preview`."""
        return self._diagnosis.total

    def pods(self, node_name: str) -> Sequence[PodInfo]:
        """See `Preview`."""
        return self._table.placements.pods(self._table.rows[node_name])

    def fits(self, node_name: str, without: Sequence[PodInfo]) -> bool:
        """See `Preview`."""
        row = self._table.rows[node_name]
        with self._without(without, row):
            return self._planner.fits(self._pod, row)

    def disruption_budgets(self) -> Sequence[Mapping[str, Any]]:
        """See `Preview`."""
        return self._budgets()

    @contextmanager
    def _without(self, pods: Sequence[PodInfo], row: int) -> Iterator[None]:
        present = [pod for pod in pods if self._table.placements.row_of(pod.uid) == row]
        assumed = {pod.uid for pod in present if self._table.is_assumed(pod.uid)}
        for pod in present:
            self._table.remove_pod(pod.uid)
        try:
            yield
        finally:
            for pod in present:
                if pod.uid in assumed:
                    self._table.assume(pod, row)
                else:
                    self._table.set_pod(pod, self._table.names[row])
