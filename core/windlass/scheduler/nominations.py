"""Room that is kept for pods which have preempted others and wait for these to go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from windlass.plugin.interfaces.scheduler import PodInfo
from windlass.scheduler.columns import NodeTable


class Nominations:
    """Which waiting pods have been promised which node.

    `waits` says whether a pod is still waiting: whoever is bound or has gone is forgotten when next looked at.
    """

    def __init__(self, table: NodeTable, waits: Callable[[str], bool]) -> None:
        self._table = table
        self._waits = waits
        self._promised: dict[str, tuple[PodInfo, str]] = {}

    def promise(self, pod: PodInfo, node_name: str) -> None:
        """Keep room for a pod on a node, until it is bound or gone."""
        self._promised[pod.uid] = (pod, node_name)

    def reconsider(self, pod: PodInfo) -> None:
        """Take the promise back when the pod found no node although none of its victims is still on the way out."""
        _, node_name = self._promised.get(pod.uid, (pod, ""))
        row = self._table.rows.get(node_name)
        going = [] if row is None else self._table.placements.pods(row)
        if not any(other.obj["metadata"].get("deletionTimestamp") and other.priority < pod.priority for other in going):
            self._promised.pop(pod.uid, None)

    @contextmanager
    def kept_from(self, pod: PodInfo) -> Iterator[None]:
        """Count as taken what is promised to others at least as important, while this pod is placed."""
        assumed = []
        for uid, (other, node_name) in list(self._promised.items()):
            row = self._table.rows.get(node_name)
            if row is None or not self._waits(uid) or self._table.placements.row_of(uid) is not None:
                del self._promised[uid]
            elif uid != pod.uid and other.priority >= pod.priority:
                self._table.assume(other, row)
                assumed.append(uid)
        try:
            yield
        finally:
            for uid in assumed:
                self._table.forget(uid)
