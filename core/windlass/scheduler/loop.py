"""The scheduler: takes batches of equal pods off the queue, places them in the node table, binds them concurrently.

Deciding is synchronous and in memory: it sees one state of the cluster, which nobody changes meanwhile. Telling the API
server is not: a fixed number of workers binds and reports, and a bind that fails takes its pod back from the table.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from windlass.apis.resources import NAMESPACES, NODES, PODDISRUPTIONBUDGETS, PODS
from windlass.clock import Clock
from windlass.errors import NotFoundError, WindlassError
from windlass.logs import get_logger
from windlass.plugin.interfaces.scheduler import Code, PodInfo, PostFilterResult, SchedulerPluginRegistration
from windlass.scheduler import metrics
from windlass.scheduler.batch import BatchPlanner
from windlass.scheduler.binding import Binder
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.diagnosis import Diagnosis
from windlass.scheduler.framework import Framework, PluginFailureError, load_plugins
from windlass.scheduler.nominations import Nominations
from windlass.scheduler.podinfo import PodParser
from windlass.scheduler.preview import TablePreview
from windlass.scheduler.queue import Place, QueuedPod, SchedulingQueue
from windlass.scheduler.reporting import (
    SCHEDULER_ERROR,
    SCHEDULING_GATED,
    UNSCHEDULABLE,
    needs_report,
    report_condition,
    report_preemption,
)
from windlass.scheduler.tracking import DEFAULT_SCHEDULER_NAME, ClusterTracker, News

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.client.informer import InformerFactory
    from windlass.client.recorder import EventRecorder

logger = get_logger(__name__)

BATCH_SIZE = 256
BIND_CONCURRENCY = 64
FLUSH_SECONDS = 1.0
HELPS_PER_BATCH = 4
"""How many pods of a batch `post_filter` may make room for."""


class Scheduler:
    """Chooses a node for every pending pod and binds it.

    `config`: `scheduler_name`, `seed`, `batch_size`, `bind_concurrency`, and `plugins`, a section per plugin name with
    `enabled`, `weight` and the plugin's own options. Raises PluginError when plugins do not fit together.
    """

    def __init__(
        self,
        client: "Client",
        informers: "InformerFactory",
        recorder: "EventRecorder",
        *,
        clock: Clock,
        registrations: Sequence[SchedulerPluginRegistration],
        config: Mapping[str, Any] | None = None,
    ) -> None:
        options = dict(config or {})
        self._client, self._informers, self._recorder, self._clock = client, informers, recorder, clock
        self._batch_size = int(options.get("batch_size", BATCH_SIZE))
        self._bind_concurrency = int(options.get("bind_concurrency", BIND_CONCURRENCY))
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._few_jobs = asyncio.Event()
        self._helps_left = HELPS_PER_BATCH
        self.framework = Framework(load_plugins(registrations, options.get("plugins") or {}))
        self.table = NodeTable()
        self.queue = SchedulingQueue(clock, self.framework.queue_sort, self.framework.pre_enqueue)
        self._budgets: Callable[[], Sequence[Mapping[str, Any]]] = tuple
        self._nominations = Nominations(self.table, lambda uid: self.queue.get(uid) is not None)
        self._planner = BatchPlanner(self.framework, self.table, int(options.get("seed", 0)))
        self._binder = Binder(self.framework, self.table, client, clock)
        self._tracker = ClusterTracker(
            self.table,
            self.queue,
            PodParser(self.framework.equivalence_keys()),
            scheduler_name=str(options.get("scheduler_name", DEFAULT_SCHEDULER_NAME)),
            on_gated=self._report_gated,
            on_unreadable=self._report_unreadable,
        )

    async def run(self) -> None:
        """Schedule until cancelled. Not to be run twice: build another one."""
        handlers = (
            (NAMESPACES, self._tracker.on_namespace),
            (NODES, self._tracker.on_node),
            (PODS, self._tracker.on_pod),
        )
        followed = [(self._informers.informer(resource), handler) for resource, handler in handlers]
        budgets = self._informers.informer(PODDISRUPTIONBUDGETS)
        for informer in (budgets, *(each for each, _ in followed)):
            await informer.wait_synced()
        self._budgets = budgets.list
        stops = [informer.on_event(handler, replay=True) for informer, handler in followed]
        try:
            logger.info("scheduler runs", nodes=self.table.node_count, plugins=self.framework.plugin_names())
            async with asyncio.TaskGroup() as group:
                for _ in range(self._bind_concurrency):
                    group.create_task(self._work())
                group.create_task(self._tick())
                group.create_task(self._wake())
                group.create_task(self._schedule())
        finally:
            for stop in stops:
                stop()

    def statistics(self) -> dict[str, int]:
        """Return how much waits where, and how many nodes are known."""
        return {**self.queue.statistics(), "nodes": self.table.node_count, "jobs": self._jobs.qsize()}

    # -- tasks

    async def _schedule(self) -> None:
        while True:
            await self.queue.wait()
            with metrics.BATCH_SECONDS.time():
                self.schedule_batch()
            await asyncio.sleep(0)  # let informers and workers have their turn
            while self._jobs.qsize() > 4 * self._batch_size:
                self._few_jobs.clear()
                await self._few_jobs.wait()

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                await job()
            except Exception:
                logger.exception("scheduler job failed")
            if self._jobs.qsize() <= 2 * self._batch_size:
                self._few_jobs.set()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self.queue.flush()
            for place, count in self.queue.statistics().items():
                metrics.PENDING_PODS.labels(place).set(count)

    async def _wake(self) -> None:
        while True:
            await self._tracker.wait_news()
            self._wake_pods()

    def _wake_pods(self) -> None:
        news = self._tracker.take_news()
        if news is not None:
            self.queue.wake(lambda pod: self._may_fit(pod, news))

    def _may_fit(self, pod: PodInfo, news: News) -> bool:
        try:
            rows = news.row_array(self.table.size)
            if len(rows) and self._planner.fits_any(pod, rows):
                return True
            return news.pods_placed and not self._planner.row_local(pod)
        except PluginFailureError:
            return True  # the scheduling cycle will meet the failure and report it

    # -- the scheduling cycle

    def schedule_batch(self) -> int:
        """Decide on the next batch of equal pods; return how many were taken off the queue."""
        self._wake_pods()  # first, so that a more important pod that waited is not overtaken by a newer one
        batch = self.queue.pop_batch(self._batch_size)
        self._helps_left = HELPS_PER_BATCH
        known: tuple[int, Diagnosis] | None = None
        for index, queued in enumerate(batch):
            try:
                with self._nominations.kept_from(queued.pod):
                    known = self._decide(queued, len(batch) - index - 1, known)
            except PluginFailureError as error:
                self._failed(queued, str(error))
        return len(batch)

    def _decide(
        self, queued: QueuedPod, more: int, known: tuple[int, Diagnosis] | None
    ) -> tuple[int, Diagnosis] | None:
        """Place a pod, or say why not. `known`: why the one before found nothing, at which version of the table."""
        if known is not None and known[0] == self.table.version:
            result: int | Diagnosis = known[1]
        else:
            result = self._planner.place(queued.pod, more)
        if isinstance(result, Diagnosis):
            self._unschedulable(queued, result)
            return self.table.version, result
        self._reserve(queued, result)
        return known

    def _reserve(self, queued: QueuedPod, row: int) -> None:
        node_name = self.table.names[row]
        status = self.framework.reserve(queued.pod, node_name)
        if status.code is Code.SUCCESS:
            self._jobs.put_nowait(lambda: self._bind(queued, node_name))
            return
        self.table.forget(queued.pod.uid)
        self._refused(queued, status.code, status.message)

    def _refused(self, queued: QueuedPod, code: Code, message: str) -> None:
        if code is Code.ERROR:
            self._failed(queued, message)
            return
        metrics.SCHEDULE_ATTEMPTS.labels("unschedulable").inc()
        self.queue.park(queued)
        self._report(queued, UNSCHEDULABLE, message)

    def _failed(self, queued: QueuedPod, message: str) -> None:
        metrics.SCHEDULE_ATTEMPTS.labels("error").inc()
        self.queue.retry(queued)
        self._report(queued, SCHEDULER_ERROR, message)

    def _unschedulable(self, queued: QueuedPod, diagnosis: Diagnosis) -> None:
        help_offered = self._post_filter(queued.pod, diagnosis)
        metrics.SCHEDULE_ATTEMPTS.labels("unschedulable").inc()
        if self._helps_left > 0:
            self.queue.park(queued)
        else:
            self.queue.retry(queued)  # it may be helped next time
        if help_offered.node_name:
            self._nominations.promise(queued.pod, help_offered.node_name)
            queued.backoff_until = 0.0  # when the victims have gone it must come before those that it preempted
        elif help_offered.message or not diagnosis.candidates:
            self._nominations.reconsider(queued.pod)
        self._report(queued, UNSCHEDULABLE, diagnosis.message, help_offered.node_name)
        for victim in help_offered.victims:
            self._jobs.put_nowait(lambda victim=victim: self._evict(victim, queued.pod))  # type: ignore[misc]

    def _post_filter(self, pod: PodInfo, diagnosis: Diagnosis) -> PostFilterResult:
        """Ask plugins for help, for a few pods per batch only: it takes long, and nothing else happens meanwhile."""
        known_hopeless = diagnosis.helpless_priority is not None and pod.priority <= diagnosis.helpless_priority
        if not diagnosis.candidates or known_hopeless or self._helps_left <= 0 or not self.framework.has("post_filter"):
            return PostFilterResult()
        preview = TablePreview(self._planner, self.table, pod, diagnosis, budgets=self._budgets)
        offered = self.framework.post_filter(pod, preview)
        diagnosis.post_filter_message = offered.message
        if offered.node_name:
            self._helps_left -= 1
        else:
            diagnosis.helpless_priority = pod.priority
        return offered

    # -- telling the API server

    async def _bind(self, queued: QueuedPod, node_name: str) -> None:
        pod = queued.pod
        status = await self._binder.bind(pod, node_name)
        if status.code is Code.SUCCESS:
            metrics.SCHEDULE_ATTEMPTS.labels("scheduled").inc()
            self.queue.done(queued)
            self._recorder.event(pod.obj, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node_name}")
            self.framework.post_bind(pod, node_name)
            return
        if self.table.is_assumed(pod.uid):
            self._tracker.note_row(self.table.placements.row_of(pod.uid))
            self.table.forget(pod.uid)
        self.framework.unreserve(pod, node_name)
        if self.queue.get(pod.uid) is queued:
            self._refused(queued, status.code, status.message)

    async def _evict(self, victim: PodInfo, preemptor: PodInfo) -> None:
        message = f"Preempted by pod {preemptor.uid} on node {victim.obj.get('spec', {}).get('nodeName', '')}"
        await report_preemption(self._client, self._clock, victim)
        try:
            await self._client.delete(PODS, victim.name, victim.namespace, uid=victim.uid)
            self._recorder.event(victim.obj, "Normal", "Preempted", message)
        except NotFoundError:
            logger.debug("victim has gone", pod=victim.key)
        except (WindlassError, OSError, TimeoutError) as error:
            logger.warning("victim was not deleted", pod=victim.key, problem=repr(error))

    def _report(self, queued: QueuedPod, reason: str, message: str, nominated_node_name: str = "") -> None:
        pod = queued.pod
        if queued.message != message:
            queued.message = message
            self._recorder.event(pod.obj, "Warning", "FailedScheduling", message)
        elif not nominated_node_name:
            return
        if nominated_node_name or needs_report(pod, reason, message):
            self._jobs.put_nowait(
                lambda: report_condition(
                    self._client,
                    self._clock,
                    pod,
                    reason=reason,
                    message=message,
                    nominated_node_name=nominated_node_name,
                )
            )

    def _report_gated(self, queued: QueuedPod) -> None:
        pod, message = queued.pod, queued.message
        if queued.place is Place.GATED and needs_report(pod, SCHEDULING_GATED, message):
            self._jobs.put_nowait(
                lambda: report_condition(self._client, self._clock, pod, reason=SCHEDULING_GATED, message=message)
            )

    def _report_unreadable(self, obj: Mapping[str, Any], problem: str) -> None:
        logger.warning("pod cannot be scheduled", pod=obj["metadata"].get("name"), problem=problem)
        self._recorder.event(dict(obj), "Warning", "FailedScheduling", problem)
