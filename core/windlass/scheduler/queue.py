"""Pods that wait for a node: active, backing off, unschedulable, gated, or in flight.

A pod that found no node waits in the unschedulable set until something changes that may help, or for five minutes. A
pod whose attempt failed for another reason backs off. Back-off is 1, 2, 4, 8, 10, 10, ... seconds after each attempt.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from windlass.clock import Clock
from windlass.plugin.interfaces.scheduler import Code, PluginStatus, PodInfo, PodRequirements

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
UNSCHEDULABLE_TIMEOUT_SECONDS = 300.0


class Place(StrEnum):
    """Where a pod waits."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in_flight"


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A pod in the queue. `entry` numbers its newest heap entry: older ones are dead."""

    pod: PodInfo
    place: Place = Place.GATED
    attempts: int = 0
    since: float = 0.0
    backoff_until: float = 0.0
    entry: int = 0
    sequence: int = 0
    message: str = ""


class SchedulingQueue:
    """Single-threaded; everything but `wait` is immediate."""

    def __init__(
        self,
        clock: Clock,
        queue_sort: Callable[[PodInfo], Any],
        pre_enqueue: Callable[[PodInfo], PluginStatus],
    ) -> None:
        self._clock = clock
        self._queue_sort = queue_sort
        self._pre_enqueue = pre_enqueue
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[Any, int, int, QueuedPod]] = []
        self._backoff: list[tuple[float, int, QueuedPod]] = []
        self._unschedulable: dict[PodRequirements, dict[str, QueuedPod]] = {}
        self._entries = 0
        self._sequence = 0
        self._has_active = asyncio.Event()

    # -- what the informer says

    def add(self, pod: PodInfo) -> QueuedPod:
        """Take in a pod, or a newer version of one that waits. Whatever its spec changed may make it schedulable."""
        queued = self._pods.get(pod.uid)
        if queued is None:
            self._sequence += 1
            queued = self._pods[pod.uid] = QueuedPod(pod, sequence=self._sequence)
            self._enter(queued)
            return queued
        old, queued_place = queued.pod, queued.place
        changed = old.requirements is not pod.requirements or old.priority != pod.priority
        if queued_place is Place.UNSCHEDULABLE and changed:
            self._leave_unschedulable(queued)
        queued.pod = pod
        if queued_place is Place.GATED or (changed and queued_place in {Place.ACTIVE, Place.UNSCHEDULABLE}):
            self._enter(queued)
        return queued

    def delete(self, uid: str) -> None:
        """Drop a pod wherever it waits; it need not be here."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            if queued.place is Place.UNSCHEDULABLE:
                self._leave_unschedulable(queued)
            queued.entry = -1

    def get(self, uid: str) -> QueuedPod | None:
        """Return a waiting pod, or None."""
        return self._pods.get(uid)

    # -- what the scheduler does

    def pop_batch(self, limit: int) -> list[QueuedPod]:
        """Take pods off the head of the active queue as long as they are of one class."""
        batch: list[QueuedPod] = []
        while self._active and len(batch) < limit:
            _, _, entry, queued = self._active[0]
            if queued.entry == entry:
                if batch and queued.pod.requirements is not batch[0].pod.requirements:
                    break
                queued.place = Place.IN_FLIGHT
                queued.attempts += 1
                queued.entry = 0
                batch.append(queued)
            heapq.heappop(self._active)
        if not self._active:
            self._has_active.clear()
        return batch

    def done(self, queued: QueuedPod) -> None:
        """Drop a pod that is bound."""
        if self._pods.get(queued.pod.uid) is queued:
            del self._pods[queued.pod.uid]

    def retry(self, queued: QueuedPod) -> None:
        """Put a pod whose attempt failed into back-off, unless it was deleted meanwhile."""
        if self._pods.get(queued.pod.uid) is queued:
            self._set_backoff(queued)
            self._push_backoff(queued)

    def park(self, queued: QueuedPod) -> None:
        """Put a pod that found no node among the unschedulable ones, unless it was deleted meanwhile."""
        if self._pods.get(queued.pod.uid) is queued:
            self._set_backoff(queued)
            queued.place = Place.UNSCHEDULABLE
            queued.since = self._clock.monotonic()
            self._unschedulable.setdefault(queued.pod.requirements, {})[queued.pod.uid] = queued

    def wake(self, may_fit: Callable[[PodInfo], bool]) -> int:
        """Move the unschedulable pods of each class that `may_fit` says yes to; return how many."""
        moved = 0
        for pods in list(self._unschedulable.values()):
            if may_fit(next(iter(pods.values())).pod):
                for queued in list(pods.values()):
                    self._move(queued)
                    moved += 1
        return moved

    def flush(self) -> None:
        """Activate pods whose back-off has ended, and those that nothing has woken for long. Call once a second."""
        now = self._clock.monotonic()
        while self._backoff and self._backoff[0][0] <= now:
            _, entry, queued = heapq.heappop(self._backoff)
            if queued.entry == entry:
                self._enter(queued)
        for queued in [
            queued for queued in self._all_unschedulable() if now - queued.since >= UNSCHEDULABLE_TIMEOUT_SECONDS
        ]:
            self._move(queued)

    async def wait(self) -> None:
        """Return when there is an active pod."""
        await self._has_active.wait()

    def statistics(self) -> dict[str, int]:
        """Return how many pods wait where."""
        counts = dict.fromkeys((str(place) for place in Place), 0)
        for queued in self._pods.values():
            counts[queued.place] += 1
        return counts

    # -- moves

    def _all_unschedulable(self) -> Iterator[QueuedPod]:
        return (queued for pods in self._unschedulable.values() for queued in pods.values())

    def _leave_unschedulable(self, queued: QueuedPod) -> None:
        pods = self._unschedulable[queued.pod.requirements]
        del pods[queued.pod.uid]
        if not pods:
            del self._unschedulable[queued.pod.requirements]

    def _move(self, queued: QueuedPod) -> None:
        self._leave_unschedulable(queued)
        if queued.backoff_until > self._clock.monotonic():
            self._push_backoff(queued)
        else:
            self._enter(queued)

    def _set_backoff(self, queued: QueuedPod) -> None:
        seconds = INITIAL_BACKOFF_SECONDS * 2.0 ** min(queued.attempts - 1, 16)
        queued.backoff_until = self._clock.monotonic() + min(seconds, MAX_BACKOFF_SECONDS)

    def _push_backoff(self, queued: QueuedPod) -> None:
        queued.place = Place.BACKOFF
        heapq.heappush(self._backoff, (queued.backoff_until, self._next_entry(queued), queued))

    def _enter(self, queued: QueuedPod) -> None:
        status = self._pre_enqueue(queued.pod)
        if status.code is not Code.SUCCESS:
            queued.place, queued.message, queued.entry = Place.GATED, status.message, 0
            return
        queued.place = Place.ACTIVE
        key = self._queue_sort(queued.pod)
        heapq.heappush(self._active, (key, queued.sequence, self._next_entry(queued), queued))
        self._has_active.set()

    def _next_entry(self, queued: QueuedPod) -> int:
        self._entries += 1
        queued.entry = self._entries
        return self._entries
