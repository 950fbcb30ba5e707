"""One pod's life on this node: look, plan, act, report, wait. One worker per pod uid, one step at a time.

A worker is level-triggered: whatever wakes it (a change in the API, a runtime event, a probe, a timer), it looks at
what runs and does what the plan says. All it remembers beyond that (addresses, back-offs, failures) can be rebuilt, so
that a new agent goes on where a killed one stopped. Times are the monotonic clock's.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from windlass.clock import parse_rfc3339, rfc3339
from windlass.errors import ApiError, NetworkDriverError, RuntimeDriverError, VolumeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ContainerState, SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.failpoints import fail_point
from windlass_hostagent.pods.deadline import Deadline, every, first
from windlass_hostagent.pods.failures import Failures
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.pods.observation import PodObservation, Waiting
from windlass_hostagent.pods.observer import Observer
from windlass_hostagent.pods.plan import (
    ContainerKill,
    ContainerStart,
    PodPlan,
    active_seconds_left,
    plan_pod,
    spec_containers,
    start_batches,
)
from windlass_hostagent.pods.probes.table import ProbeTable
from windlass_hostagent.pods.restart import BackOff, next_back_off, recovered_back_off
from windlass_hostagent.pods.status import build_status
from windlass_hostagent.pods.status_writer import StatusWriter, is_newer
from windlass_hostagent.pods.steps import network, sandbox, teardown, volumes
from windlass_hostagent.pods.steps.containers import start_container
from windlass_hostagent.pods.steps.hooks import post_start
from windlass_hostagent.pods.steps.termination_message import remove_attempt, remove_pod_files
from windlass_hostagent.pods.termination import GONE_GRACE_SECONDS, Terminator, deletion_grace, pod_grace

Obj = dict[str, Any]
TERMINAL = ("Succeeded", "Failed")
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0
DEADLINE_EXCEEDED = Fate("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
log = get_logger(__name__)


class PodWorker:
    """Drives one pod. `sandboxes` is what an earlier agent left running."""

    def __init__(
        self, context: AgentContext, pod: Obj, probes: ProbeTable, *, sandboxes: Sequence[SandboxStatus] = ()
    ) -> None:
        self.pod = pod
        self.done = False
        self.ended = asyncio.Event()
        """Set when no container of the pod runs any more, nor ever will."""
        self._context = context
        self._probes = probes
        self._writer = StatusWriter(context)
        self._observer = Observer(context, probes, pod, [s.id for s in sandboxes])
        self._observed = PodObservation(sandboxes=sandboxes)
        self._terminator = Terminator(context)
        self._failures = Failures()
        self._back_offs: dict[str, BackOff] = {}
        self._gone = False
        self._fate: Fate | None = None
        self._stopping: Deadline | None = None
        self._recovered = False
        self._wake = asyncio.Event()
        self._interrupt = asyncio.Event()
        self._retry = RETRY_SECONDS
        if self._deleted():
            self._interrupt.set()

    def _deleted(self) -> bool:
        return self._gone or bool(self.pod["metadata"].get("deletionTimestamp"))

    def update(self, pod: Obj) -> None:
        """Take a newer version of the pod."""
        if is_newer(pod, self.pod):
            self.pod = pod
            if self._context.volumes is not None:
                self._context.volumes.note(pod)
        if self._deleted():
            self._interrupt.set()
            if self._stopping is not None:
                self._stopping.shorten(deletion_grace(self.pod))
        self._wake.set()

    def gone(self) -> None:
        """Tell that the pod is no longer in the API: stop it soon and report nothing."""
        self._gone = True
        self._interrupt.set()
        if self._stopping is not None:
            self._stopping.shorten(GONE_GRACE_SECONDS)
        self._wake.set()

    def fail(self, fate: Fate) -> None:
        """End the pod from outside (eviction, shutdown of the node): stop it, then report it Failed."""
        if self._fate is None:
            self._fate = fate
            self._interrupt.set()
            self._wake.set()

    def poke(self) -> None:
        """Tell that something may have changed in the runtime, or in what a probe says."""
        self._wake.set()

    async def run(self) -> None:
        """Work until nothing of the pod is left."""
        while not self.done:
            self._wake.clear()
            wait: float | None
            try:
                wait = await self._sync()
                self._retry = RETRY_SECONDS
            except Exception as error:  # noqa: BLE001 - one pod's trouble must not end the agent
                wait = self._back_off(error)
            if not self.done:
                await self._sleep(wait)

    def _back_off(self, error: Exception) -> float:
        meta = self.pod["metadata"]
        expected = isinstance(error, RuntimeDriverError | NetworkDriverError | VolumeDriverError | ApiError | OSError)
        log.warning(
            "pod_sync_failed",
            namespace=meta["namespace"],
            pod=meta["name"],
            error=str(error) or type(error).__name__,
            exc_info=None if expected else error,
        )
        wait, self._retry = self._retry, min(self._retry * 2, MAX_RETRY_SECONDS)
        return wait

    async def _sleep(self, seconds: float | None) -> None:
        """Wait for a wake-up, at most that long."""
        if seconds is None:
            await self._wake.wait()
        elif not self._wake.is_set():
            await first(self._wake.wait(), self._context.clock.sleep(seconds))

    async def _unless_interrupted(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Work until done, or until the pod has to end; return whether it was done."""
        others: list[Coroutine[Any, Any, Any]] = [self._interrupt.wait()]
        left = self._active_seconds_left()
        if left is not None:
            others.append(self._context.clock.sleep(left))
        return 0 in await first(work, *others)

    def _active_seconds_left(self) -> float | None:
        started = (self.pod.get("status") or {}).get("startTime")
        if not started:
            return None
        return active_seconds_left(self.pod, self._context.clock.now().timestamp(), parse_rfc3339(started).timestamp())

    async def _sync(self) -> float | None:
        """Do one round; return when to look again."""
        if self._deleted():
            await self._end()
            return None
        await self._observe()
        if (self.pod.get("status") or {}).get("phase") in TERMINAL:
            await self._retire()
            return None
        self._note_deadline()
        plan = self._plan()
        if plan.finished or self._fate is not None:
            await self._finish()
            return None
        if plan.needs_sandbox or plan.stale_sandboxes:
            plan = await self._make_sandbox(plan)
        await self._ensure_network()
        await self._kill(plan.kill)
        mounted = await volumes.mount(self._context, self.pod, self._observed.ips, self.poke)
        fail_point("agent.after_mount_volumes")
        if mounted.ready:
            await self._start(plan.start)
        await self._remove(plan.remove)
        if plan.start:
            await self._observe()
            plan = self._plan()
        await self._report()
        return self._next_look(plan) if mounted.ready else mounted.retry_seconds

    def _note_deadline(self) -> None:
        if self._fate is None and self._active_seconds_left() == 0.0:
            self._fate = DEADLINE_EXCEEDED
            self._context.event(self.pod, "Normal", DEADLINE_EXCEEDED.reason, DEADLINE_EXCEEDED.message)

    def _now(self) -> float:
        return self._context.clock.monotonic()

    def _next_look(self, plan: PodPlan) -> float | None:
        """Return when to look again: now if the plan has steps that nothing blocks."""
        now = self._now()
        open_starts = [s for s in plan.start if not self._failures.blocked(s.spec["name"], s.spec["image"], now)]
        if open_starts or plan.kill or plan.finished or plan.needs_sandbox:
            return 0.0
        times = (plan.wake_seconds, self._failures.wake_seconds(now), self._active_seconds_left())
        known = [t for t in times if t is not None]
        return min(known) if known else None

    def _plan(self) -> PodPlan:
        """Plan from the last look, and note why containers wait."""
        now = self._now()
        plan = plan_pod(self.pod, self._observed, self._back_offs, now)
        for name, image in self._failures.newly_backing_off(now):
            self._context.event(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', name)
            self._context.event(self.pod, "Warning", "Failed", "Error: ImagePullBackOff", name)
        for name in plan.waiting.keys() - self._observed.waiting.keys():
            self._tell_waiting(name, plan.waiting[name])
        waiting = {**plan.waiting, **self._failures.waiting(now)}
        self._observed = replace(self._observed, waiting=waiting)
        return plan

    def _tell_waiting(self, name: str, waiting: Waiting) -> None:
        meta = self.pod["metadata"]
        pod_name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        if waiting.reason == "CrashLoopBackOff":
            message = f"Back-off restarting failed container {name} in pod {pod_name}"
            self._context.event(self.pod, "Warning", "BackOff", message, name)
        else:
            self._context.event(self.pod, "Warning", "Failed", f"Error: {waiting.message}", name)

    async def _observe(self) -> None:
        """Look at what the runtime has of this pod."""
        waiting = self._observed.waiting
        found = await self._observer.look(self.pod)
        self._observed = replace(found, waiting=waiting)
        for container in found.containers:
            if container.state is ContainerState.RUNNING:
                self._failures.forget(container.name)
        if not self._recovered:
            self._recover()

    def _recover(self) -> None:
        """Rebuild the memory of restarts from what an earlier agent left."""
        self._recovered = True
        for container in spec_containers(self.pod):
            last = self._observed.latest(container["name"])
            entry = recovered_back_off(last.attempt, self._observer.steady(last.started_at)) if last else None
            if entry:
                self._back_offs[container["name"]] = entry

    async def _make_sandbox(self, plan: PodPlan) -> PodPlan:
        """Remove sandboxes that have ended and run a new one, after saying how the old ones ended."""
        if plan.stale_sandboxes:
            await self._report()
        stale = [s for s in self._observed.sandboxes if s.id in plan.stale_sandboxes]
        for old in stale:
            await teardown.remove_sandbox(self._context, old)
        if plan.needs_sandbox:
            if stale:
                message = "Pod sandbox changed, it will be killed and re-created."
                self._context.event(self.pod, "Normal", "SandboxChanged", message)
            fail_point("agent.before_run_sandbox")
            await every(self._report(), self._run_sandbox(plan.sandbox_attempt))
        await self._observe()
        return self._plan()

    async def _run_sandbox(self, attempt: int) -> None:
        self._observer.known.add(await sandbox.run_sandbox(self._context, self.pod, attempt))
        fail_point("agent.after_run_sandbox")

    async def _ensure_network(self) -> None:
        """Attach the sandbox unless this worker has done so."""
        current = self._observed.sandbox
        if current is None or current.id in self._observer.ips:
            return
        self._context.on_sandbox(current.id, self.pod["metadata"]["uid"])
        self._observer.ips[current.id] = await network.attach(self._context, self.pod, current)
        fail_point("agent.after_attach_network")
        await self._observe()
        self._plan()

    @property
    def _ip(self) -> str:
        return str(self._observed.ips[0]) if self._observed.ips else ""

    async def _kill(self, kills: Sequence[ContainerKill]) -> None:
        """Stop containers that are to run anew; the end of the pod interrupts."""
        if not kills:
            return
        self._observer.forced |= {k.container.id for k in kills if k.forced}
        await self._unless_interrupted(every(*(self._kill_one(k) for k in kills)))

    async def _kill_one(self, kill: ContainerKill) -> None:
        grace = pod_grace(self.pod) if kill.grace_seconds is None else float(kill.grace_seconds)
        deadline = Deadline(self._context.clock, grace)
        await self._terminator.stop(self.pod, kill.container, deadline, ip=self._ip, message=kill.message)

    async def _start(self, wanted: Sequence[ContainerStart]) -> None:
        """Start what the plan says, side by side as far as hooks allow; the end of the pod interrupts."""
        now = self._now()
        current = self._observed.sandbox
        starts = [s for s in wanted if not self._failures.blocked(s.spec["name"], s.spec["image"], now)]
        if current is None:
            return
        for batch in start_batches(starts):
            if not await self._unless_interrupted(every(*(self._start_one(s, current.id) for s in batch))):
                return

    async def _start_one(self, start: ContainerStart, sandbox_id: str) -> None:
        name, image = start.spec["name"], start.spec["image"]
        ips = self._observer.ips.get(sandbox_id, ())
        try:
            container_id = await start_container(self._context, self.pod, start, sandbox_id=sandbox_id, ips=ips)
        except RuntimeDriverError as error:
            self._failures.add(name, image, Waiting(error.reason, str(error)), now=self._now())
            return
        self._failures.forget(name)
        if start.restart:
            self._back_offs[name] = next_back_off(self._back_offs.get(name), self._now())
        if not await post_start(self._context, self.pod, start.spec, container_id, str(ips[0]) if ips else ""):
            await self._discard(container_id)

    async def _discard(self, container_id: str) -> None:
        """Stop a container whose postStart hook failed."""
        found = await self._context.runtime.container_status(container_id)
        if found is not None and found.state is ContainerState.RUNNING:
            deadline = Deadline(self._context.clock, pod_grace(self.pod))
            await self._terminator.stop(self.pod, found, deadline, ip=self._ip, message="FailedPostStartHook")

    async def _remove(self, container_ids: Sequence[str]) -> None:
        """Remove old attempts and their files."""
        for old in [c for c in self._observed.containers if c.id in container_ids]:
            await self._context.runtime.remove_container(old.id)
            remove_attempt(self._context, self.pod["metadata"]["uid"], old.name, old.attempt)

    def _build(self, pod: Obj) -> Obj:
        now = rfc3339(self._context.clock.now())
        return build_status(pod, self._observed, self._context.facts, now, fate=self._fate)

    async def _report(self) -> None:
        """Bring the API's status up to date."""
        if self._gone:
            return
        fail_point("agent.before_write_status")
        written = await self._writer.write(self.pod, self._build)
        fail_point("agent.after_write_status")
        if is_newer(written, self.pod):
            self.pod = written

    async def _finish(self) -> None:
        """Stop what is left of a pod that is done or has to be Failed, say how it ended, free what it holds."""
        grace = self._fate.grace_seconds if self._fate else None
        await self._stop_all(pod_grace(self.pod) if grace is None else grace)
        self._plan()
        await self._report()
        await self._retire()

    async def _retire(self) -> None:
        """Free what a finished pod holds; its containers stay for their logs."""
        self._probes.forget(self.pod["metadata"]["uid"])
        for old in self._observed.sandboxes:
            if old.ready:
                await teardown.stop_sandbox(self._context, old)
        await volumes.unmount(self._context, self.pod)
        self.ended.set()

    async def _stop_all(self, grace: float) -> None:
        """Stop every container within the grace period, which a deletion meanwhile may shorten."""
        if self._stopping is None:
            self._stopping = Deadline(self._context.clock, grace)
        else:
            self._stopping.shorten(grace)
        self._probes.quiet(self.pod["metadata"]["uid"])
        while running := self._observed.running():
            await self._terminator.stop_all(self.pod, running, self._stopping, ip=self._ip)
            await self._observe()

    async def _end(self) -> None:
        """Stop the containers within the grace period, report, remove everything, tell the API."""
        uid = self.pod["metadata"]["uid"]
        await self._observe()
        await self._stop_all(GONE_GRACE_SECONDS if self._gone else deletion_grace(self.pod))
        self._probes.forget(uid)
        if self._observed.containers:
            await self._report()
            fail_point("agent.after_final_status")
        for old in self._observed.sandboxes:
            await teardown.remove_sandbox(self._context, old)
        await volumes.unmount(self._context, self.pod)
        fail_point("agent.after_unmount_volumes")
        remove_pod_files(self._context, uid)
        if not self._gone:
            await self._writer.finish(self.pod)
            fail_point("agent.after_delete_pod")
        self.done = True
        self.ended.set()
