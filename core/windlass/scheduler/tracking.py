"""Follows the informers: pods and nodes go into the node table and the queue, and news wakes waiting pods."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from windlass.logs import get_logger
from windlass.plugin.interfaces.arrays import Counts
from windlass.plugin.interfaces.scheduler import PodInfo
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.podinfo import PodParser, is_finished
from windlass.scheduler.queue import Place, QueuedPod, SchedulingQueue

logger = get_logger(__name__)

DEFAULT_SCHEDULER_NAME = "default-scheduler"


@dataclass(slots=True)
class News:
    """What happened since the last look: rows on which something may fit now, and whether pods were placed.

    A change of a namespace's labels counts as placed pods: it concerns those who choose their neighbours.
    """

    rows: set[int] = field(default_factory=set)
    pods_placed: bool = False

    def row_array(self, size: int) -> Counts:
        """Return the rows that still exist, in order."""
        return np.array(sorted(row for row in self.rows if row < size), dtype=np.int64)


class ClusterTracker:
    """Informer handlers. Every one may be called again with the same object without harm."""

    def __init__(
        self,
        table: NodeTable,
        queue: SchedulingQueue,
        parser: PodParser,
        *,
        scheduler_name: str = DEFAULT_SCHEDULER_NAME,
        on_gated: Callable[[QueuedPod], None],
        on_unreadable: Callable[[Mapping[str, Any], str], None],
    ) -> None:
        self._table = table
        self._queue = queue
        self._parser = parser
        self._scheduler_name = scheduler_name
        self._on_gated = on_gated
        self._on_unreadable = on_unreadable
        self._news = News()
        self._has_news = asyncio.Event()

    async def wait_news(self) -> None:
        """Return when something has happened that nobody took yet."""
        await self._has_news.wait()

    def take_news(self) -> News | None:
        """Return what happened since the last call; None for nothing."""
        if not self._has_news.is_set():
            return None
        self._has_news.clear()
        news, self._news = self._news, News()
        return news

    def note_row(self, row: int | None) -> None:
        """Take note that a row has more room, or otherwise changed."""
        if row is not None:
            self._news.rows.add(row)
            self._has_news.set()

    # -- nodes

    def on_node(self, _event_type: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Handle an event of the node informer: `new` None means deleted."""
        if new is None:
            if old is not None:
                self._table.remove_node(old["metadata"]["name"])
            return
        try:
            changed = self._table.set_node(new)
        except (ValueError, KeyError) as error:
            logger.warning("node cannot be read", node=new["metadata"].get("name"), problem=repr(error))
            self._table.remove_node(new["metadata"]["name"])
            return
        if changed:
            self.note_row(self._table.rows[new["metadata"]["name"]])

    # -- namespaces

    def on_namespace(self, _event_type: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Handle an event of the namespace informer: pod affinity may select namespaces by their labels."""
        metadata = (new or old or {})["metadata"]
        if self._table.set_namespace(metadata["name"], None if new is None else metadata.get("labels") or {}):
            self._news.pods_placed = True
            self._has_news.set()

    # -- pods

    def on_pod(self, _event_type: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Handle an event of the pod informer: `new` None means deleted."""
        if old is not None and (new is None or new["metadata"].get("uid") != old["metadata"].get("uid")):
            self._forget(old)
        if new is not None:
            self._take(new)

    def _forget(self, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        uid = metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata['name']}"
        self._queue.delete(uid)
        self.note_row(self._table.remove_pod(uid))

    def _take(self, obj: Mapping[str, Any]) -> None:
        spec = obj.get("spec") or {}
        node_name = spec.get("nodeName")
        waits = not node_name and not obj["metadata"].get("deletionTimestamp")
        if waits and (spec.get("schedulerName") or DEFAULT_SCHEDULER_NAME) != self._scheduler_name:
            return
        if is_finished(obj) or not (node_name or waits):
            self._drop_waiting(obj, gone=is_finished(obj))
            return
        try:
            pod = self._parser.parse(obj)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._on_unreadable(obj, f"pod cannot be read: {error!r}")
            return
        if node_name:
            self._place(pod, node_name)
        else:
            self._enqueue(pod)

    def _drop_waiting(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        """Stop scheduling a pod that ended or is being deleted; a bind in flight may yet put the latter on its node."""
        metadata = obj["metadata"]
        uid = metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata['name']}"
        self._queue.delete(uid)
        if gone:
            self.note_row(self._table.remove_pod(uid))

    def _place(self, pod: PodInfo, node_name: str) -> None:
        self._queue.delete(pod.uid)
        before = self._table.version
        left = self._table.placements.row_of(pod.uid)
        was_assumed = self._table.is_assumed(pod.uid)
        self._table.set_pod(pod, node_name)
        if self._table.version != before:
            self.note_row(left)
        if was_assumed or self._table.version != before:
            self._news.pods_placed = True
            self._has_news.set()

    def _enqueue(self, pod: PodInfo) -> None:
        queued = self._queue.add(pod)
        if queued.place is Place.GATED:
            self._on_gated(queued)
