"""A runtime that only pretends: no process, no namespace, only records. For tests, simulation, thousands of nodes.

Containers "run" at once and "exit" when their behaviour or a `stop_container` says so. Time comes from the injected
clock, and an exit that is due is noticed when somebody looks or when the event stream wakes for it, so that ten
thousand pods cost ten thousand records and no task each.
"""

import asyncio
import hashlib
import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from windlass.clock import Clock, SystemClock, rfc3339_micro
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    ExecTimeoutError,
    Image,
    LogLine,
    RegistryAuth,
    RuntimeEvent,
    RuntimeStatus,
    SandboxConfig,
    SandboxStatus,
)
from windlass_runtime.archive import ImageArchive, normal_name
from windlass_runtime.hollow.faults import (
    Behaviour,
    Fault,
    HollowConfig,
    behaviour_of,
    exec_behaviour,
    fault_of,
    made_up_stats,
    parse_config,
)
from windlass_runtime.hollow.streams import HollowStream, after


@dataclass(slots=True)
class _Container:
    status: ContainerStatus
    behaviour: Behaviour
    annotations: Mapping[str, str]
    due: float = 0.0
    lines: list[LogLine] = field(default_factory=list)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(p) for p in parts).encode()).hexdigest()


class HollowDriver:
    """The `hollow` runtime. See `faults.py` for what can be made to fail or to wait."""

    def __init__(self, config: HollowConfig, clock: Clock, *, node_name: str = "") -> None:
        self._config = config
        self._clock = clock
        self._node_name = node_name
        self._sandboxes: dict[str, SandboxStatus] = {}
        self._sandbox_annotations: dict[str, Mapping[str, str]] = {}
        self._containers: dict[str, _Container] = {}
        self._images: set[str] = set(config.local_images)
        self._due: list[tuple[float, str]] = []
        self._changed = asyncio.Event()
        self._subscribers: set[asyncio.Queue[RuntimeEvent]] = set()
        self._address = 0

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _act(self, verb: str, annotations: Mapping[str, str] | None = None) -> None:
        """Wait and fail as told, before a verb does its work."""
        delay = self._config.delays.get(verb, 0.0)
        if delay > 0:
            await self._clock.sleep(delay)
        fault = self._config.faults.get(verb)
        if fault is not None and fault.times != 0:
            fault.times -= fault.times > 0
            raise RuntimeDriverError(fault.message, reason=fault.reason)
        told = fault_of(annotations or {}, verb)
        if told is not None:
            raise RuntimeDriverError(told.message, reason=told.reason)

    def _emit(self, kind: str, sandbox_id: str, container_id: str) -> None:
        for queue in self._subscribers:
            queue.put_nowait(RuntimeEvent(kind, sandbox_id, container_id))
        self._changed.set()

    def fail(self, verb: str, *, reason: str = "RuntimeError", times: int = -1) -> None:
        """Let a verb fail from now on, so many times (-1: for ever); 0 ends it."""
        self._config.faults[verb] = Fault(reason, times=times)

    async def start(self) -> None:
        """Do nothing but what the configuration asks for."""
        await self._act("start")

    async def close(self) -> None:
        """Forget nothing: the records live as long as the driver."""

    async def status(self) -> RuntimeStatus:
        """Say ready, unless told to fail."""
        await self._act("status")
        return RuntimeStatus(ready=True, name="hollow", version="1")

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        """Record a sandbox with an address of its own."""
        sandbox_id = _digest(self._node_name, config.namespace, config.name, config.uid, config.attempt)
        found = self._sandboxes.get(sandbox_id)
        if found is not None and found.ready:
            return sandbox_id
        await self._act("run_pod_sandbox", config.annotations)
        self._address = self._address % 0xFFFD + 1
        ips = () if config.host_network else (f"100.64.{self._address >> 8}.{self._address & 255}",)
        self._sandboxes[sandbox_id] = SandboxStatus(
            id=sandbox_id,
            ready=True,
            created_at=self._now(),
            labels=dict(config.labels),
            attempt=config.attempt,
            ips=ips,
        )
        self._sandbox_annotations[sandbox_id] = dict(config.annotations)
        self._emit("started", sandbox_id, "")
        return sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Mark the sandbox and its containers stopped."""
        await self._act("stop_pod_sandbox", self._sandbox_annotations.get(sandbox_id))
        for container in list(self._containers.values()):
            if container.status.sandbox_id == sandbox_id:
                self._finish(container, 137, "Error")
        found = self._sandboxes.get(sandbox_id)
        if found is not None and found.ready:
            self._sandboxes[sandbox_id] = replace(found, ready=False)
            self._emit("stopped", sandbox_id, "")

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Forget the sandbox and its containers."""
        await self._act("remove_pod_sandbox", self._sandbox_annotations.get(sandbox_id))
        for container_id in [i for i, c in self._containers.items() if c.status.sandbox_id == sandbox_id]:
            del self._containers[container_id]
        if self._sandboxes.pop(sandbox_id, None) is not None:
            self._sandbox_annotations.pop(sandbox_id, None)
            self._emit("removed", sandbox_id, "")

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus | None:
        """Return the record."""
        return self._sandboxes.get(sandbox_id)

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """Return all records."""
        await self._act("list_pod_sandboxes")
        return list(self._sandboxes.values())

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Record a container that has not started."""
        if sandbox_id not in self._sandboxes:
            raise RuntimeDriverError(f"no sandbox {sandbox_id}", reason="CreateContainerError")
        container_id = _digest(sandbox_id, config.name, config.attempt)
        if container_id in self._containers:
            return container_id
        annotations = {**self._sandbox_annotations.get(sandbox_id, {}), **config.annotations}
        await self._act("create_container", annotations)
        status = ContainerStatus(
            id=container_id,
            sandbox_id=sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=ContainerState.CREATED,
            image=config.image,
            image_id="sha256:" + _digest(config.image),
            created_at=self._now(),
            started_at=0.0,
            finished_at=0.0,
            exit_code=0,
            reason="",
            message="",
            labels=dict(config.labels),
        )
        self._containers[container_id] = _Container(
            status, behaviour_of(annotations, self._config.behaviour), annotations
        )
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Mark it running and note when it will end."""
        container = self._containers.get(container_id)
        if container is None:
            raise RuntimeDriverError(f"no container {container_id}", reason="RunContainerError")
        if container.status.state is not ContainerState.CREATED:
            return
        await self._act("start_container", container.annotations)
        if container.behaviour.start_seconds > 0:
            await self._clock.sleep(container.behaviour.start_seconds)
        now = self._now()
        container.status = replace(container.status, state=ContainerState.RUNNING, started_at=now)
        for text in self._config.output.splitlines():
            container.lines.append(LogLine(rfc3339_micro(self._clock.now()), "stdout", text.encode() + b"\n"))
        if container.behaviour.run_seconds >= 0:
            container.due = now + container.behaviour.run_seconds
            heapq.heappush(self._due, (container.due, container_id))
        self._emit("started", container.status.sandbox_id, container_id)

    def _finish(self, container: _Container, exit_code: int, reason: str) -> None:
        if container.status.state not in (ContainerState.RUNNING, ContainerState.CREATED):
            return
        container.status = replace(
            container.status,
            state=ContainerState.EXITED,
            exit_code=exit_code,
            reason=reason,
            finished_at=container.due or self._now(),
        )
        self._emit("stopped", container.status.sandbox_id, container.status.id)

    def _settle(self) -> float | None:
        """End every container whose time has come; return the seconds until the next one, None when there is none."""
        while self._due:
            due, container_id = self._due[0]
            wait = due - self._now()
            if wait > 0:
                return wait
            heapq.heappop(self._due)
            container = self._containers.get(container_id)
            if container is not None:
                code = 137 if container.behaviour.oom else container.behaviour.exit_code
                reason = "OOMKilled" if container.behaviour.oom else "Completed" if code == 0 else "Error"
                self._finish(container, code, reason)
        return None

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Take as long as the behaviour says, at most the timeout (then it was killed)."""
        container = self._containers.get(container_id)
        if container is None or container.status.state is not ContainerState.RUNNING:
            return
        await self._act("stop_container", container.annotations)
        wait = min(container.behaviour.stop_seconds, timeout_seconds)
        if wait > 0:
            await self._clock.sleep(wait)
        killed = container.behaviour.stop_seconds > timeout_seconds
        container.due = 0.0
        self._finish(container, 137 if killed else 143, "Error")

    async def remove_container(self, container_id: str) -> None:
        """Forget it."""
        container = self._containers.get(container_id)
        await self._act("remove_container", container.annotations if container else None)
        if container is not None and self._containers.pop(container_id, None) is not None:
            self._emit("removed", container.status.sandbox_id, container_id)

    async def container_status(self, container_id: str) -> ContainerStatus | None:
        """Return the record as of now."""
        self._settle()
        await self._act("container_status")
        container = self._containers.get(container_id)
        return container.status if container else None

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """Return the records as of now."""
        self._settle()
        await self._act("list_containers")
        return [c.status for c in self._containers.values() if sandbox_id in ("", c.status.sandbox_id)]

    async def container_logs(
        self, container_id: str, *, follow: bool, since: float = 0.0, tail: int = -1
    ) -> AsyncIterator[LogLine]:
        """Yield the configured output."""
        container = self._containers.get(container_id)
        if container is None:
            raise RuntimeDriverError(f"no container {container_id}", reason="NotFound")
        lines = [] if since > container.status.started_at else container.lines
        for line in lines[len(lines) - tail :] if 0 <= tail < len(lines) else lines:
            yield line
        while follow and container.status.state is ContainerState.RUNNING:
            self._changed.clear()
            await self._changed.wait()

    def _running(self, container_id: str) -> _Container:
        self._settle()
        container = self._containers.get(container_id)
        if container is None or container.status.state is not ContainerState.RUNNING:
            raise RuntimeDriverError(f"container {container_id[:12]} is not running", reason="NotFound")
        return container

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float, max_output_bytes: int = 16_384
    ) -> ExecResult:
        """Answer what the annotations say; a command that would take longer than the timeout takes the timeout."""
        container = self._running(container_id)
        await self._act("exec_sync", container.annotations)
        told = exec_behaviour(container.annotations, command[0])
        if told.seconds > timeout_seconds > 0:
            await self._clock.sleep(timeout_seconds)
            raise ExecTimeoutError(
                f"command {command[0]!r} timed out after {timeout_seconds:g} s", reason="ExecTimeout"
            )
        await after(self._clock, told.seconds, 0)
        return ExecResult(told.exit_code, told.output.encode()[:max_output_bytes])

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> HollowStream:
        """Connect to a command that prints what the annotations say, then what is sent to it."""
        container = self._running(container_id)
        await self._act("exec", container.annotations)
        told = exec_behaviour(container.annotations, command[0])
        output = told.output.encode()
        pieces = [("stdout", output.replace(b"\n", b"\r\n") if tty else output)] if output else []
        return HollowStream(pieces, lambda: after(self._clock, told.seconds, told.exit_code), stdin=stdin)

    async def attach(self, container_id: str, *, stdin: bool) -> HollowStream:
        """Connect to a container: it prints nothing more and ends when it ends."""
        container = self._running(container_id)
        await self._act("attach", container.annotations)

        async def ended() -> int:
            while container.status.state is ContainerState.RUNNING:
                self._changed.clear()
                await self._changed.wait()
            return container.status.exit_code

        return HollowStream([], ended, stdin=stdin)

    async def container_stats(self) -> Sequence[ContainerStats]:
        """Return what the annotations say about every running container."""
        self._settle()
        await self._act("container_stats")
        running = [c for c in self._containers.values() if c.status.state is ContainerState.RUNNING]
        return [made_up_stats(c.status, c.annotations, self._now()) for c in running]

    async def import_images(self, archive: str) -> Sequence[str]:
        """Take the names out of an archive and pretend to have the rest."""
        await self._act("import_images")

        def read() -> list[str]:
            with ImageArchive.opened(Path(archive), limit=1 << 30) as opened:
                return [normal_name(name) for image in opened.images() for name in image.names]

        names = await asyncio.to_thread(read)
        self._images.update(names)
        return names

    async def pull_image(self, image: str, auth: RegistryAuth | None = None) -> str:  # noqa: ARG002 - no registry here
        """Pretend to pull; images in `missing_images` do not exist."""
        await self._act("pull_image")
        if image in self._config.missing_images:
            raise RuntimeDriverError(f'failed to resolve reference "{image}": not found', reason="ErrImagePull")
        self._images.add(image)
        return "sha256:" + _digest(image)

    async def image_status(self, image: str) -> Image | None:
        """Return the image when it was pulled before."""
        await self._act("image_status")
        return Image("sha256:" + _digest(image), (image,), 1) if {image, normal_name(image)} & self._images else None

    async def list_images(self) -> Sequence[Image]:
        """Return what was pulled."""
        return [Image("sha256:" + _digest(name), (name,), 1) for name in sorted(self._images)]

    async def remove_image(self, image: str) -> None:
        """Forget an image."""
        self._images.discard(image)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield events, waking by itself when a container's time comes."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                wait = self._settle()
                if queue.empty():
                    await self._wait(queue, wait)
                    continue
                yield queue.get_nowait()
        finally:
            self._subscribers.discard(queue)

    async def _wait(self, queue: asyncio.Queue[RuntimeEvent], seconds: float | None) -> None:
        """Wait for an event, for another due time, or for the nearest one to come."""
        self._changed.clear()
        changed = asyncio.ensure_future(self._changed.wait())
        waiters: set[asyncio.Future[Any]] = {changed}
        if seconds is not None:
            waiters.add(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            if queue.empty():
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)


def build(config: Mapping[str, Any]) -> HollowDriver:
    """Build the driver from its configuration section."""
    clock = config.get("clock") or SystemClock()
    return HollowDriver(parse_config(config), clock, node_name=str(config.get("node_name", "")))
