"""The `process` runtime: no daemon. Namespaces and an overlay of a root file system; without root, plain processes.

Every container has a shim (`shim.py`) that outlives the agent; everything known is in files (`records.py`), so that a
new agent finds all of it. Images are directories under `<state_dir>/images/<quoted name>/rootfs`; the image `host` is
this machine's own file system, copy-on-write.
"""

import asyncio
import contextlib
import os
import platform
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from windlass.clock import Clock, SystemClock
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Image,
    LogLine,
    RegistryAuth,
    RuntimeEvent,
    RuntimeStatus,
    SandboxConfig,
    SandboxStatus,
)
from windlass_runtime import pause
from windlass_runtime.oom import lowest_oom_score_adj
from windlass_runtime.process import syscalls
from windlass_runtime.process.logfile import read_log
from windlass_runtime.process.records import Records, digest, read_json

T = TypeVar("T")
KILL_WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05


class ProcessDriver:
    """Containers as processes. `isolated` False means plain processes (no root)."""

    def __init__(self, state_dir: Path, *, clock: Clock, isolated: bool) -> None:
        self._records = Records(state_dir)
        self._clock = clock
        self._isolated = isolated
        self._subscribers: set[asyncio.Queue[RuntimeEvent]] = set()
        self._watched: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def start(self) -> None:
        """Make the directories and the pause program, and watch what an earlier agent left running."""
        self._records.prepare()
        program = self._pause()
        if not program.exists():
            program.write_bytes(pause.pause_program(platform.machine()))
            program.chmod(0o700)
        for container in await self._files(lambda: list(self._records.containers())):
            if container.state is ContainerState.RUNNING:
                self._watch(container.id, container.sandbox_id)

    def _pause(self) -> Path:
        return self._records.root / "pause"

    async def close(self) -> None:
        """Stop watching; every container runs on."""
        for descriptor in self._watched.values():
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._watched.clear()

    async def status(self) -> RuntimeStatus:
        """Say whether pods can be taken: always."""
        return RuntimeStatus(ready=True, name="process", version="1", message="" if self._isolated else "not isolated")

    async def _files(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def _shim(self, kind: str, directory: Path, reason: str) -> None:
        """Run the shim until it reports. Raises RuntimeDriverError with what it says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "windlass_runtime.process.shim", kind, str(directory),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, problem = await process.communicate()
        if process.returncode != 0:
            raise RuntimeDriverError(problem.decode(errors="replace").strip() or "the shim failed", reason=reason)

    def _lock(self, identifier: str) -> asyncio.Lock:
        return self._locks.setdefault(identifier, asyncio.Lock())

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        """Make the sandbox's namespaces, held by one tiny process."""
        sandbox_id = digest(config.namespace, config.name, config.uid, config.attempt)
        flags = syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
        record = {
            "labels": dict(config.labels),
            "attempt": config.attempt,
            "created_at": self._clock.now().timestamp(),
            "host_network": config.host_network,
            "hostname": config.hostname,
            "namespaces": self._isolated,
            "unshare": flags if config.host_network else flags | syscalls.CLONE_NEWNET,
            "pause": str(self._pause()),
        }
        directory = self._records.sandbox_dir(sandbox_id)
        async with self._lock(sandbox_id):
            await self._files(lambda: self._records.create(directory, record))
            found = self._records.sandbox(sandbox_id)
            if found is None or not found.ready:
                await self._shim("sandbox", directory, "CreatePodSandboxError")
                self._emit("started", sandbox_id, "")
        return sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Kill everything in it, then itself."""
        for container in await self.list_containers(sandbox_id):
            await self.stop_container(container.id, 0)
        found = await self.pod_sandbox_status(sandbox_id)
        run = read_json(self._records.sandbox_dir(sandbox_id) / "run.json")
        if found is None or not found.ready or run is None:
            return
        _signal(int(run["pid"]), signal.SIGKILL)
        await self._wait(lambda: not (self._records.sandbox(sandbox_id) or found).ready, KILL_WAIT_SECONDS)
        self._emit("stopped", sandbox_id, "")

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove it with its containers."""
        await self.stop_pod_sandbox(sandbox_id)
        for container in await self.list_containers(sandbox_id):
            await self.remove_container(container.id)
        directory = self._records.sandbox_dir(sandbox_id)
        existed = directory.exists()
        await self._files(lambda: self._records.remove(directory))
        self._locks.pop(sandbox_id, None)
        if existed:
            self._emit("removed", sandbox_id, "")

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus | None:
        """Describe the sandbox."""
        return await self._files(lambda: self._records.sandbox(sandbox_id))

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """List all sandboxes."""
        return await self._files(lambda: list(self._records.sandboxes()))

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Record what shall run."""
        sandbox = await self.pod_sandbox_status(sandbox_id)
        if sandbox is None or not sandbox.ready:
            raise RuntimeDriverError(f"sandbox {sandbox_id[:12]} is not running", reason="CreateContainerError")
        lower = self._records.image_dir(config.image)
        if lower is None:
            raise RuntimeDriverError(f'no image "{config.image}" on this machine', reason="ErrImageNeverPull")
        if not self._isolated and lower != Path("/"):
            raise RuntimeDriverError("without root only the image `host` can run", reason="CreateContainerError")
        defaults = self._records.image_config(config.image)
        argv = _argv(config, defaults)
        if not argv:
            raise RuntimeDriverError("no command specified", reason="CreateContainerError")
        container_id = digest(sandbox_id, config.name, config.attempt)
        run = read_json(self._records.sandbox_dir(sandbox_id) / "run.json") or {}
        image_env = dict(entry.partition("=")[::2] for entry in defaults.get("Env") or ())
        record = {
            **asdict(config),
            "id": container_id,
            "sandbox_id": sandbox_id,
            "sandbox_pid": run.get("pid", 0),
            "created_at": self._clock.now().timestamp(),
            "namespaces": self._isolated,
            "cgroups": self._isolated,
            "lower": str(lower),
            "image_id": f"sha256:{digest(config.image)}",
            "argv": argv,
            "env": {**image_env, **config.env},
            "working_dir": config.working_dir or defaults.get("WorkingDir") or "/",
            "user": config.user or defaults.get("User") or "",
            "oom_score_adj": max(config.resources.oom_score_adj, lowest_oom_score_adj()),
        }
        await self._files(lambda: self._records.create(self._records.container_dir(container_id), record))
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Start it with its shim."""
        async with self._lock(container_id):
            found = await self.container_status(container_id)
            if found is None:
                raise RuntimeDriverError(f"no container {container_id[:12]}", reason="RunContainerError")
            if found.state is not ContainerState.CREATED:
                return
            await self._shim("container", self._records.container_dir(container_id), "RunContainerError")
        self._watch(container_id, found.sandbox_id)
        self._emit("started", found.sandbox_id, container_id)

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """TERM to its first process, KILL to all of it after the timeout."""
        found = await self.container_status(container_id)
        if found is None or found.state is not ContainerState.RUNNING:
            return
        if timeout_seconds > 0:
            _signal(found.pid, signal.SIGTERM)
            if await self._wait(lambda: self._ended(container_id), timeout_seconds):
                return
        _signal(found.pid, signal.SIGKILL, group=not self._isolated)
        if not await self._wait(lambda: self._ended(container_id), KILL_WAIT_SECONDS):
            raise RuntimeDriverError(f"container {container_id[:12]} outlived KILL by {KILL_WAIT_SECONDS:g} s")

    def _ended(self, container_id: str) -> bool:
        found = self._records.container(container_id)
        return found is None or found.state is not ContainerState.RUNNING

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on the records holds; return False when the time is over."""
        deadline = self._clock.monotonic() + seconds
        while not await self._files(condition):
            if self._clock.monotonic() >= deadline:
                return False
            await self._clock.sleep(POLL_SECONDS)
        return True

    async def remove_container(self, container_id: str) -> None:
        """Kill it if needed and remove its record, log and written files."""
        found = await self.container_status(container_id)
        await self.stop_container(container_id, 0)
        await self._files(lambda: self._records.remove(self._records.container_dir(container_id)))
        self._locks.pop(container_id, None)
        if found is not None:
            self._emit("removed", found.sandbox_id, container_id)

    async def container_status(self, container_id: str) -> ContainerStatus | None:
        """Describe the container."""
        return await self._files(lambda: self._records.container(container_id))

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """List containers."""
        return await self._files(lambda: list(self._records.containers(sandbox_id)))

    async def container_logs(
        self, container_id: str, *, follow: bool, since: float = 0.0, tail: int = -1
    ) -> AsyncIterator[LogLine]:
        """Yield the lines of its log file."""
        if await self.container_status(container_id) is None:
            raise RuntimeDriverError(f"no container {container_id[:12]}", reason="NotFound")
        path = self._records.container_dir(container_id) / "container.log"
        ended = (lambda: self._ended(container_id)) if follow else None
        async for line in read_log(path, since=since, tail=tail, ended=ended, clock=self._clock):
            yield line

    async def pull_image(self, image: str, auth: RegistryAuth | None = None) -> str:  # noqa: ARG002 - no registry here
        """Find a local image: there is no registry client here."""
        if await self._files(lambda: self._records.image_dir(image)) is None:
            place = self._records.root / "images"
            raise RuntimeDriverError(
                f'image "{image}" is not here and this runtime pulls none: unpack its root file system under {place}',
                reason="ErrImagePull",
            )
        return f"sha256:{digest(image)}"

    async def image_status(self, image: str) -> Image | None:
        """Look for a local image."""
        found = await self._files(lambda: self._records.image_dir(image))
        return Image(f"sha256:{digest(image)}", (image,), 0) if found else None

    async def list_images(self) -> Sequence[Image]:
        """List local images."""
        return await self._files(lambda: list(self._records.images()))

    async def remove_image(self, image: str) -> None:
        """Remove an image directory; never the host's own file system."""
        found = await self._files(lambda: self._records.image_dir(image))
        if found is not None and found != Path("/"):
            await self._files(lambda: self._records.remove(found.parent))

    def _emit(self, kind: str, sandbox_id: str, container_id: str) -> None:
        for queue in self._subscribers:
            queue.put_nowait(RuntimeEvent(kind, sandbox_id, container_id))

    def _watch(self, container_id: str, sandbox_id: str) -> None:
        """Hear of a container's end through its shim's pidfd."""
        run = read_json(self._records.container_dir(container_id) / "run.json")
        if run is None or container_id in self._watched:
            return
        try:
            descriptor = os.pidfd_open(int(run["shim"]))
        except OSError:
            self._emit("stopped", sandbox_id, container_id)
            return
        self._watched[container_id] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._on_end, container_id, sandbox_id)

    def _on_end(self, container_id: str, sandbox_id: str) -> None:
        descriptor = self._watched.pop(container_id)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._emit("stopped", sandbox_id, container_id)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield events as they happen."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)


def _argv(config: ContainerConfig, defaults: Mapping[str, Any]) -> list[str]:
    """Join command and args with the image's defaults, as Kubernetes does. Pure."""
    if config.command is not None:
        return [*config.command, *(config.args or ())]
    arguments = config.args if config.args is not None else defaults.get("Cmd") or ()
    return [*(defaults.get("Entrypoint") or ()), *arguments]


def _signal(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """Signal a process or its group; one that has gone is fine."""
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(pid, number)


def build(config: Mapping[str, Any]) -> ProcessDriver:
    """Build the driver from its configuration section."""
    isolated = bool(config.get("isolated", os.geteuid() == 0))
    return ProcessDriver(Path(config["state_dir"]), clock=config.get("clock") or SystemClock(), isolated=isolated)
