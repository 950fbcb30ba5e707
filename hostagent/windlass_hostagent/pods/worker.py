"""One pod's life on this node: look, plan, act, report, wait. One worker per pod uid, one step at a time.

A worker is level-triggered: whatever wakes it (a change in the API, a runtime event, a timer), it looks at what runs
and does what the plan says. All it remembers beyond that (addresses, back-offs, failures) can be rebuilt, so that a
new agent goes on where a killed one stopped.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from windlass.clock import rfc3339
from windlass.errors import ApiError, NetworkDriverError, RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.failures import Failures
from windlass_hostagent.pods.observation import PodObservation, Waiting
from windlass_hostagent.pods.plan import ContainerStart, PodPlan, plan_pod, spec_containers
from windlass_hostagent.pods.restart import BackOff, next_back_off, recovered_back_off
from windlass_hostagent.pods.status import build_status
from windlass_hostagent.pods.status_writer import StatusWriter, is_newer
from windlass_hostagent.pods.steps import network, sandbox, teardown
from windlass_hostagent.pods.steps.containers import start_container

Obj = dict[str, Any]
TERMINAL = ("Succeeded", "Failed")
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0
log = get_logger(__name__)


class PodWorker:
    """Drives one pod. `sandboxes` and `containers` are what an earlier agent left running."""

    def __init__(
        self,
        context: AgentContext,
        pod: Obj,
        *,
        sandboxes: Sequence[SandboxStatus] = (),
        containers: Sequence[ContainerStatus] = (),
    ) -> None:
        self.pod = pod
        self.done = False
        self._context = context
        self._writer = StatusWriter(context)
        self._known = {s.id for s in sandboxes}
        self._observed = PodObservation(sandboxes=sandboxes, containers=containers)
        self._failures = Failures()
        self._back_offs: dict[str, BackOff] = {}
        self._attempts: dict[str, int] = {}
        self._ips: dict[str, Sequence[str]] = {}
        self._gone = False
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._retry = RETRY_SECONDS
        self._recover()

    def _recover(self) -> None:
        """Rebuild the memory of restarts from the API's status and from what runs."""
        status = self.pod.get("status") or {}
        for entry in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            if entry.get("containerID"):
                self._attempts[entry["name"]] = int(entry.get("restartCount") or 0)
        for container in spec_containers(self.pod):
            last = self._observed.latest(container["name"])
            entry_of = recovered_back_off(last.attempt, last.started_at) if last else None
            if entry_of:
                self._back_offs[container["name"]] = entry_of
        if self.pod["metadata"].get("deletionTimestamp"):
            self._ending.set()

    def update(self, pod: Obj) -> None:
        """Take a newer version of the pod."""
        if is_newer(pod, self.pod):
            self.pod = pod
        if self.pod["metadata"].get("deletionTimestamp"):
            self._ending.set()
        self._wake.set()

    def gone(self) -> None:
        """Tell that the pod is no longer in the API: stop it and report nothing."""
        self._gone = True
        self._ending.set()
        self._wake.set()

    def poke(self) -> None:
        """Tell that something may have changed in the runtime."""
        self._wake.set()

    async def run(self) -> None:
        """Work until nothing of the pod is left."""
        while not self.done:
            self._wake.clear()
            wait: float | None
            try:
                wait = await self._sync()
                self._retry = RETRY_SECONDS
            except (RuntimeDriverError, NetworkDriverError, ApiError, OSError) as error:
                wait = self._back_off(error)
            except Exception as error:  # noqa: BLE001 - one pod's trouble must not end the agent
                wait = self._back_off(error)
            if not self.done:
                await self._sleep(wait)

    def _back_off(self, error: Exception) -> float:
        meta = self.pod["metadata"]
        expected = isinstance(error, RuntimeDriverError | NetworkDriverError | ApiError | OSError)
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
            return
        await self._first(self._wake.wait(), self._context.clock.sleep(seconds))

    async def _first(self, *coroutines: Coroutine[Any, Any, Any]) -> set[int]:
        """Run until one has ended, cancel the others; return the places of those that ended. Raises theirs."""
        tasks = [asyncio.ensure_future(c) for c in coroutines]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        return {i for i, t in enumerate(tasks) if t in done}

    async def _sync(self) -> float | None:
        """Do one round; return when to look again."""
        if self._ending.is_set():
            await self._end()
            return None
        await self._observe()
        if (self.pod.get("status") or {}).get("phase") in TERMINAL:
            await self._retire()
            return None
        plan = self._plan()
        if plan.finished:
            await self._report()
            await self._retire()
            return None
        if plan.needs_sandbox or plan.stale_sandboxes:
            plan = await self._make_sandbox(plan)
        await self._ensure_network()
        await self._start(plan)
        for container_id in plan.remove:
            await self._context.runtime.remove_container(container_id)
        if plan.start:
            await self._observe()
            plan = self._plan()
        await self._report()
        return self._next_look(plan)

    def _now(self) -> float:
        return self._context.clock.now().timestamp()

    def _next_look(self, plan: PodPlan) -> float | None:
        """Return when to look again: now if the plan has steps that nothing blocks."""
        now = self._now()
        open_starts = [s for s in plan.start if not self._failures.blocked(s.spec["name"], s.spec["image"], now)]
        if open_starts or plan.finished or plan.needs_sandbox:
            return 0.0
        times = [t for t in (plan.wake_seconds, self._failures.wake_seconds(now)) if t is not None]
        return min(times) if times else None

    def _plan(self) -> PodPlan:
        """Plan from the last look, and note why containers wait."""
        now = self._now()
        plan = plan_pod(self.pod, self._observed, self._back_offs, now)
        for name, image in self._failures.newly_backing_off(now):
            self._context.event(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', name)
            self._context.event(self.pod, "Warning", "Failed", "Error: ImagePullBackOff", name)
        for name in plan.waiting.keys() - self._observed.waiting.keys():
            meta = self.pod["metadata"]
            pod_name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
            message = f"Back-off restarting failed container {name} in pod {pod_name}"
            self._context.event(self.pod, "Warning", "BackOff", message, name)
        self._observed = PodObservation(
            sandboxes=self._observed.sandboxes,
            containers=self._observed.containers,
            ips=self._observed.ips,
            attempts=self._observed.attempts,
            waiting={**plan.waiting, **self._failures.waiting(now)},
        )
        return plan

    async def _observe(self) -> None:
        """Look at what the runtime has of this pod."""
        sandboxes: list[SandboxStatus] = []
        containers: list[ContainerStatus] = []
        for sandbox_id in sorted(self._known):
            found = await self._context.runtime.pod_sandbox_status(sandbox_id)
            if found is None:
                self._known.discard(sandbox_id)
                self._ips.pop(sandbox_id, None)
                continue
            sandboxes.append(found)
            containers += await self._context.runtime.list_containers(sandbox_id)
        for container in containers:
            self._attempts[container.name] = max(self._attempts.get(container.name, 0), container.attempt)
            if container.state is ContainerState.RUNNING:
                self._failures.forget(container.name)
        current = PodObservation(sandboxes=sandboxes).sandbox
        known = [p["ip"] for p in (self.pod.get("status") or {}).get("podIPs") or ()] if sandboxes else []
        self._observed = PodObservation(
            sandboxes=sandboxes,
            containers=containers,
            ips=self._ips.get(current.id, ()) if current else known,
            waiting=self._observed.waiting,
            attempts=dict(self._attempts),
        )

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
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report())
                made = group.create_task(sandbox.run_sandbox(self._context, self.pod, plan.sandbox_attempt))
            self._known.add(made.result())
        await self._observe()
        return self._plan()

    async def _ensure_network(self) -> None:
        """Attach the sandbox unless this worker has done so."""
        current = self._observed.sandbox
        if current is None or current.id in self._ips:
            return
        self._context.on_sandbox(current.id, self.pod["metadata"]["uid"])
        self._ips[current.id] = await network.attach(self._context, self.pod, current)
        await self._observe()
        self._plan()

    async def _start(self, plan: PodPlan) -> None:
        """Start what the plan says, side by side; the end of the pod interrupts a wait for an image."""
        now = self._now()
        current = self._observed.sandbox
        starts = [s for s in plan.start if not self._failures.blocked(s.spec["name"], s.spec["image"], now)]
        if current is None or not starts:
            return
        await self._first(self._start_all(starts, current.id), self._ending.wait())

    async def _start_all(self, starts: Sequence[ContainerStart], sandbox_id: str) -> None:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(self._start_one(start, sandbox_id))

    async def _start_one(self, start: ContainerStart, sandbox_id: str) -> None:
        name, image = start.spec["name"], start.spec["image"]
        ips = self._ips.get(sandbox_id, ())
        try:
            await start_container(self._context, self.pod, start, sandbox_id=sandbox_id, ips=ips)
        except RuntimeDriverError as error:
            self._failures.add(name, image, Waiting(error.reason, str(error)), now=self._now())
            return
        self._failures.forget(name)
        if start.restart:
            self._back_offs[name] = next_back_off(self._back_offs.get(name), self._now())

    def _build(self, pod: Obj) -> Obj:
        return build_status(pod, self._observed, self._context.facts, rfc3339(self._context.clock.now()))

    async def _report(self) -> None:
        """Bring the API's status up to date."""
        if self._gone:
            return
        written = await self._writer.write(self.pod, self._build)
        if is_newer(written, self.pod):
            self.pod = written

    async def _retire(self) -> None:
        """Free what a finished pod holds; its containers stay for their logs."""
        for old in self._observed.sandboxes:
            if old.ready:
                await teardown.stop_sandbox(self._context, old)

    async def _end(self) -> None:
        """Stop the containers within the grace period, report, remove everything, tell the API."""
        await self._observe()
        while running := self._observed.running():
            grace = teardown.remaining_grace(self.pod, self._context.clock)
            stopping = teardown.stop_containers(self._context, self.pod, running, grace)
            await self._first(stopping, self._shorter_grace(grace))
            await self._observe()
        if self._observed.containers:
            await self._report()
        for old in self._observed.sandboxes:
            await teardown.remove_sandbox(self._context, old)
        if not self._gone:
            await self._writer.finish(self.pod)
        self.done = True

    async def _shorter_grace(self, grace: float) -> None:
        """Wait until the pod's remaining grace has been cut below what was granted."""
        deadline = self._context.clock.monotonic() + grace
        while True:
            self._wake.clear()
            await self._wake.wait()
            remaining = teardown.remaining_grace(self.pod, self._context.clock)
            if self._context.clock.monotonic() + remaining < deadline - 1:
                return
