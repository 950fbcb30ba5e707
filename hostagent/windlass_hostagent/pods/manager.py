"""All pods of the node: a worker for each, adoption of what an earlier agent left, routing of events."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from windlass.clock import rfc3339
from windlass.errors import NetworkDriverError, RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.admission import Refusal, refusal, unsupported
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.pods.observation import LABEL_UID
from windlass_hostagent.pods.probes.table import ProbeTable
from windlass_hostagent.pods.steps.teardown import remove_sandbox
from windlass_hostagent.pods.worker import PodWorker
from windlass_hostagent.static.manifest import is_mirror, is_static

Obj = dict[str, Any]
RELIST_SECONDS = 30.0
RECONNECT_SECONDS = 1.0
log = get_logger(__name__)


class Mirrors(Protocol):
    """What the manager needs of `windlass_hostagent.static.mirror.MirrorKeeper`."""

    def note(self, pod: Obj) -> None:
        """Take a static pod, or a newer status of it."""
        ...

    def forget(self, pod: Obj) -> None:
        """Take the end of a static pod."""
        ...

    def seen(self, mirror: Obj) -> None:
        """Take what the API has."""
        ...


class PodManager:
    """Keeps one worker per pod uid. `on_event` is an informer handler; `run` owns every worker's task."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._workers: dict[str, PodWorker] = {}
        self._finished: set[str] = set()
        self._by_sandbox: dict[str, str] = {}
        self._sandboxes: dict[str, list[SandboxStatus]] = defaultdict(list)
        self.probes = ProbeTable(context, self._poke)
        self._group: asyncio.TaskGroup | None = None
        self._early: dict[str, Obj] = {}
        self._static: dict[str, asyncio.Task[None]] = {}
        self.mirrors: Mirrors | None = None
        self.closed: Callable[[], bool] = lambda: False
        """Whether the node takes no new pods, as it is shutting down."""
        context.on_sandbox = self._note_sandbox
        context.on_static_status = self._show_static

    def _note_sandbox(self, sandbox_id: str, uid: str) -> None:
        self._by_sandbox[sandbox_id] = uid

    def pods(self) -> list[Obj]:
        """Return the pods of this node as the workers know them."""
        return [w.pod for w in self._workers.values()]

    def on_event(self, event_type: str, old: Obj | None, new: Obj | None) -> None:
        """Take an informer event: never blocks. A replaced pod (same name, other uid) ends the old one's worker."""
        if event_type == "DELETED" or new is None:
            last = old or new
            if last is not None and not self._is_mirror(last):
                self._forget(last["metadata"]["uid"])
            return
        if self._is_mirror(new):
            return
        uid = new["metadata"]["uid"]
        if old is not None and old["metadata"]["uid"] != uid:
            self._forget(old["metadata"]["uid"])
        if self._group is None:
            self._early[uid] = new
        elif uid in self._workers:
            self._workers[uid].update(new)
        elif uid not in self._finished:
            self._adopt(new)

    def _is_mirror(self, pod: Obj) -> bool:
        """Say whether a pod of the API only shows a static one; tells its keeper what became of it."""
        if not is_mirror(pod):
            return False
        if self.mirrors is not None:
            self.mirrors.seen(pod)
        return True

    def add_static(self, pod: Obj) -> None:
        """Run a pod of this node's directory, after an earlier pod of that name has ended."""
        if self._group is None:
            self._early[pod["metadata"]["uid"]] = pod
        else:
            self._adopt(pod)

    def remove_static(self, pod: Obj) -> None:
        """End a pod of this node's directory within its grace period."""
        uid = pod["metadata"]["uid"]
        self._early.pop(uid, None)
        if self.mirrors is not None:
            self.mirrors.forget(pod)
        if uid in self._workers:
            now = rfc3339(self._context.clock.now())
            self._workers[uid].update({**pod, "metadata": {**pod["metadata"], "deletionTimestamp": now}})

    def _show_static(self, pod: Obj) -> None:
        if self.mirrors is not None and not pod["metadata"].get("deletionTimestamp"):
            self.mirrors.note(pod)

    def _forget(self, uid: str) -> None:
        self._finished.discard(uid)
        self._early.pop(uid, None)
        if uid in self._workers:
            self._workers[uid].gone()

    def _adopt(self, pod: Obj) -> None:
        """Begin a worker, with whatever of its pod already runs."""
        assert self._group is not None
        uid = pod["metadata"]["uid"]
        sandboxes = self._sandboxes.pop(uid, [])
        for sandbox in sandboxes:
            self._by_sandbox[sandbox.id] = uid
        worker = PodWorker(self._context, pod, self.probes, sandboxes=sandboxes)
        refused = self._refusal(pod) if not sandboxes else None
        if refused is not None:
            worker.fail(Fate(refused.reason, refused.message))
        self._workers[uid] = worker
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        earlier = self._static.get(name)
        task = self._group.create_task(self._work(uid, worker, earlier), name=f"pod-{uid}")
        if is_static(pod):
            self._static[name] = task
            self._show_static(pod)

    def _refusal(self, pod: Obj) -> Refusal | None:
        """Return why this node cannot take a pod that has not begun; None when it can, or when the pod has begun."""
        if (pod.get("status") or {}).get("phase", "Pending") != "Pending" or pod["metadata"].get("deletionTimestamp"):
            return None
        if self.closed():
            return Refusal("NodeShutdown", "Pod was rejected as the node is shutting down.")
        never = unsupported(pod, self._context.options)
        return never or refusal(pod, self.pods(), self._context.allocatable, self._context.node)

    async def _work(self, uid: str, worker: PodWorker, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await worker.run()
        del self._workers[uid]
        self._finished.add(uid)
        self._by_sandbox = {s: u for s, u in self._by_sandbox.items() if u != uid}

    async def run(self, wait_synced: Callable[[], Any]) -> None:
        """Adopt, clean up orphans, then serve until cancelled. `wait_synced` returns when all pods are known."""
        await self._look()
        await wait_synced()
        async with asyncio.TaskGroup() as group:
            self._group = group
            early, self._early = self._early, {}
            orphans = [s for uid, found in self._sandboxes.items() if uid not in early for s in found]
            valid = [s.id for uid in early for s in self._sandboxes.get(uid, ())]
            await self._collect(orphans, valid)
            await self._collect_volumes(early)
            for pod in early.values():
                self._adopt(pod)
            group.create_task(self.probes.run())
            group.create_task(self._follow_events())
            group.create_task(self._relist())

    async def _look(self) -> None:
        """Find what an earlier agent left running; retries until the runtime answers.

        Each worker looks at its own containers: one that cannot be inspected holds up its own pod only.
        """
        while True:
            try:
                for sandbox in await self._context.runtime.list_pod_sandboxes():
                    self._sandboxes[sandbox.labels.get(LABEL_UID, "")].append(sandbox)
            except RuntimeDriverError as error:
                log.warning("runtime_list_failed", error=str(error))
                self._sandboxes.clear()
                await self._context.clock.sleep(RECONNECT_SECONDS)
            else:
                return

    async def _collect(self, orphans: list[SandboxStatus], valid: list[str]) -> None:
        """Remove the sandboxes of pods that are no longer in the API, and every address without a sandbox."""
        for sandbox in orphans:
            log.info("orphan_sandbox_removed", sandbox=sandbox.id, pod_uid=sandbox.labels.get(LABEL_UID, ""))
            try:
                await remove_sandbox(self._context, sandbox)
                self._sandboxes[sandbox.labels.get(LABEL_UID, "")].remove(sandbox)
            except (RuntimeDriverError, NetworkDriverError) as error:
                log.warning("orphan_sandbox_kept", sandbox=sandbox.id, error=str(error))
        if self._context.network is not None:
            try:
                await self._context.network.gc(valid)
            except NetworkDriverError as error:
                log.warning("network_gc_failed", error=str(error))

    async def _collect_volumes(self, early: Mapping[str, Obj]) -> None:
        """Remove volumes of pods that are no longer here, except of those whose containers could not be removed."""
        if self._context.volumes is not None:
            await self._context.volumes.collect(
                lambda uid: uid in early or uid in self._workers or bool(self._sandboxes.get(uid))
            )

    async def _follow_events(self) -> None:
        """Wake workers as the runtime tells; after a lost connection wake all."""
        while True:
            try:
                async for event in self._context.runtime.events():
                    self._poke(self._by_sandbox.get(event.sandbox_id, ""))
            except (RuntimeDriverError, OSError) as error:
                log.warning("runtime_events_lost", error=str(error))
            await self._context.clock.sleep(RECONNECT_SECONDS)
            self._poke_all()

    async def _relist(self) -> None:
        """Wake every worker now and then, for events that got lost."""
        while True:
            await self._context.clock.sleep(RELIST_SECONDS)
            try:
                await self._context.runtime.list_containers()
            except RuntimeDriverError as error:
                log.warning("runtime_relist_failed", error=str(error))
            await self._collect_volumes({})
            self._poke_all()

    def _poke(self, uid: str) -> None:
        if uid in self._workers:
            self._workers[uid].poke()

    def fail(self, uid: str, fate: Fate) -> bool:
        """End a pod from outside (eviction, shutdown): stopped, then Failed. Return False when it is not here."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.fail(fate)
        return worker is not None

    async def terminate(self, uid: str, fate: Fate) -> None:
        """End a pod from outside and wait until none of its containers runs."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.fail(fate)
            await worker.ended.wait()

    def _poke_all(self) -> None:
        for worker in self._workers.values():
            worker.poke()
