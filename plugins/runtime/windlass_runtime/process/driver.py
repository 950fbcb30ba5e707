"""The `process` runtime: no daemon. Namespaces and an overlay of a root file system; without root, plain processes.

Every container has a shim (`shim.py`) that outlives the agent; everything known is in files (`records.py`), so that a
new agent finds all of it. Images come from archives (`images.py`); the image `host` is this machine's own file system,
copy-on-write.
"""

import asyncio
import contextlib
import os
import platform
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from windlass.clock import Clock, SystemClock
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    Image,
    LogLine,
    RegistryAuth,
    RuntimeEvent,
    RuntimeStatus,
    SandboxConfig,
    SandboxStatus,
)
from windlass_runtime import pause, pod_cgroups
from windlass_runtime.process import cgroups
from windlass_runtime.process.commands import Commands
from windlass_runtime.process.events import DirectoryWatch, EventHub, ProcessWatch
from windlass_runtime.process.files import read_json
from windlass_runtime.process.images import MAX_IMAGE_BYTES, ImageStore
from windlass_runtime.process.launching import Launcher
from windlass_runtime.process.logfile import Wanted, read_log
from windlass_runtime.process.records import Records, alive, digest
from windlass_runtime.process.stats import StatsReader
from windlass_runtime.process.streams import AttachStream, ExecStream
from windlass_runtime.process.translate import Settings, container_record, sandbox_record, stop_signal

T = TypeVar("T")
KILL_WAIT_SECONDS = 10.0


class ProcessDriver:
    """Containers as processes. `settings.isolated` False means plain processes (no root)."""

    def __init__(
        self, state_dir: Path, *, clock: Clock, settings: Settings, max_image_bytes: int = MAX_IMAGE_BYTES
    ) -> None:
        self._records = Records(state_dir)
        self._images = ImageStore(state_dir, max_image_bytes)
        self._clock = clock
        self._settings = settings
        self._hub = EventHub()
        self._watch = ProcessWatch()
        self._directories = DirectoryWatch()
        self._launcher = Launcher()
        self._commands = Commands(self._launcher, self._records, clock)
        self._stats = StatsReader()
        self._locks: dict[str, asyncio.Lock] = {}

    async def start(self) -> None:
        """Make the directories and the pause program, and watch what an earlier agent left running."""
        await self._files(self._prepare)
        for sandbox in await self.list_pod_sandboxes():
            if sandbox.ready:
                self._watch_sandbox(sandbox.id)
        for container in await self.list_containers():
            if container.state is ContainerState.RUNNING:
                self._watch_container(container.id, container.sandbox_id)

    def _prepare(self) -> None:
        self._records.prepare()
        self._images.prepare()
        program = self._pause()
        if not program.exists():
            program.write_bytes(pause.pause_program(platform.machine()))
            program.chmod(0o700)

    def _pause(self) -> Path:
        return self._records.root / "pause"

    async def close(self) -> None:
        """Stop watching; every container runs on."""
        self._watch.close()
        self._directories.close()
        self._launcher.close()

    async def status(self) -> RuntimeStatus:
        """Say whether pods can be taken: always."""
        message = "" if self._settings.isolated else "not isolated"
        place = str(self._records.root)
        return RuntimeStatus(ready=True, name="process", version="1", message=message, image_filesystem=place)

    async def _files(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def _lock(self, identifier: str) -> asyncio.Lock:
        return self._locks.setdefault(identifier, asyncio.Lock())

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        """Make the sandbox's namespaces, held by one tiny process."""
        sandbox_id = digest(config.namespace, config.name, config.uid, config.attempt)
        directory = self._records.sandbox_dir(sandbox_id)
        record = sandbox_record(config, isolated=self._settings.isolated)
        record |= {"created_at": self._clock.now().timestamp(), "pause": str(self._pause())}
        record["shm"] = str(directory / "shm") if self._settings.isolated and not config.host_ipc else ""
        async with self._lock(sandbox_id):
            self._records.create(directory, record)
            found = self._records.sandbox(sandbox_id)
            if found is None or not found.ready:
                await self._limit(config)
                await self._launcher.run("sandbox", directory, "CreatePodSandboxError")
                self._watch_sandbox(sandbox_id)
                self._hub.emit("started", sandbox_id)
        return sandbox_id

    async def _limit(self, config: SandboxConfig) -> None:
        """Make the pod's cgroup with its limits."""
        if not (self._settings.isolated and config.cgroup_parent):
            return
        try:
            await self._files(lambda: pod_cgroups.apply(config.cgroup_parent, config.resources))
        except OSError as error:
            message = f"cannot set the limits of cgroup {config.cgroup_parent}: {error}"
            raise RuntimeDriverError(message, reason="CreatePodSandboxError") from error

    def _watch_sandbox(self, sandbox_id: str) -> None:
        run = read_json(self._records.sandbox_dir(sandbox_id) / "run.json")
        if run is None:
            raise RuntimeDriverError("the sandbox did not start", reason="CreatePodSandboxError")
        self._watch.forget(sandbox_id)
        self._watch.watch(sandbox_id, int(run["pid"]), lambda: self._hub.emit("stopped", sandbox_id))

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Kill everything in it, then itself."""
        containers = await self.list_containers(sandbox_id)
        await asyncio.gather(*(self.stop_container(c.id, 0) for c in containers))
        run = read_json(self._records.sandbox_dir(sandbox_id) / "run.json")
        if run is None or not alive(run, "pid", "start"):
            return
        _signal(int(run["pid"]), signal.SIGKILL)
        await self._until_ended(sandbox_id, KILL_WAIT_SECONDS)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove it with its containers."""
        await self.stop_pod_sandbox(sandbox_id)
        containers = await self.list_containers(sandbox_id)
        await asyncio.gather(*(self.remove_container(c.id) for c in containers))
        directory = self._records.sandbox_dir(sandbox_id)
        existed = directory.exists()
        parent = str((read_json(directory / "config.json") or {}).get("cgroup_parent") or "")
        await self._files(lambda: self._records.remove(directory))
        if parent and self._settings.isolated:
            await self._files(lambda: pod_cgroups.remove(parent))
        self._watch.forget(sandbox_id)
        self._locks.pop(sandbox_id, None)
        if existed:
            self._hub.emit("removed", sandbox_id)

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus | None:
        """Describe the sandbox."""
        return self._records.sandbox(sandbox_id)

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """List all sandboxes."""
        return await self._files(lambda: list(self._records.sandboxes()))

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Record what shall run."""
        sandbox = self._records.sandbox(sandbox_id)
        if sandbox is None or not sandbox.ready:
            raise RuntimeDriverError(f"sandbox {sandbox_id[:12]} is not running", reason="CreateContainerError")
        container_id = digest(sandbox_id, config.name, config.attempt)
        directory = self._records.container_dir(container_id)
        if (directory / "config.json").exists():
            return container_id
        image = await self._files(lambda: self._images.find(config.image))
        if image is None:
            raise RuntimeDriverError(f'no image "{config.image}" on this machine', reason="ErrImageNeverPull")
        record = read_json(self._records.sandbox_dir(sandbox_id) / "config.json") or {}
        run = read_json(self._records.sandbox_dir(sandbox_id) / "run.json") or {}
        made = container_record(config, image, record, self._settings)
        made |= {
            "id": container_id,
            "sandbox_id": sandbox_id,
            "sandbox_pid": run.get("pid", 0),
            "pid_of": self._pid_of(config, record, run),
            "cgroup": cgroups.group_of(record.get("cgroup_parent", ""), container_id),
            "layers_dir": str(self._images.layers_dir),
            "log_path": config.log_path or str(directory / "container.log"),
            "created_at": self._clock.now().timestamp(),
        }
        self._records.create(directory, made)
        return container_id

    def _pid_of(self, config: ContainerConfig, sandbox: Mapping[str, Any], run: Mapping[str, Any]) -> int:
        """Return the process whose pid namespace the container shares, 0 for one of its own."""
        if config.target_container_id:
            target = self._records.container(config.target_container_id)
            if target is None or not target.pid:
                raise RuntimeDriverError("the target container is not running", reason="CreateContainerError")
            return target.pid
        shared = sandbox.get("share_process_namespace") and not sandbox.get("host_pid")
        return int(run.get("pid", 0)) if shared and self._settings.isolated else 0

    async def start_container(self, container_id: str) -> None:
        """Start it with its shim."""
        async with self._lock(container_id):
            found = self._records.container(container_id)
            if found is None:
                raise RuntimeDriverError(f"no container {container_id[:12]}", reason="RunContainerError")
            if found.state is not ContainerState.CREATED:
                return
            directory = self._records.container_dir(container_id)
            await self._launcher.run("container", directory, "RunContainerError")
        self._hub.emit("started", found.sandbox_id, container_id)
        self._watch_container(container_id, found.sandbox_id)

    def _watch_container(self, container_id: str, sandbox_id: str) -> None:
        """Hear of a container's end through its shim's pidfd, and of kills for memory."""
        directory = self._records.container_dir(container_id)
        run, config = read_json(directory / "run.json"), read_json(directory / "config.json")
        if run is None or config is None:
            raise RuntimeDriverError("the container's shim has died", reason="RunContainerError")
        if config["cgroups"]:
            tell = lambda: self._hub.emit("oom", sandbox_id, container_id)  # noqa: E731 - one line says it
            self._watch.watch_memory(container_id, config["cgroup"], tell)
        self._watch.watch(container_id, int(run["shim"]), lambda: self._hub.emit("stopped", sandbox_id, container_id))

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Send the image's stop signal to its first process, KILL to all of it after the timeout."""
        found = self._records.container(container_id)
        if found is None or found.state is not ContainerState.RUNNING:
            return
        config = read_json(self._records.container_dir(container_id) / "config.json") or {}
        if timeout_seconds > 0:
            _signal(found.pid, stop_signal(config.get("stop_signal", "")))
            if await self._until_ended(container_id, timeout_seconds):
                return
        _signal(found.pid, signal.SIGKILL, group=not self._settings.isolated)
        if not await self._until_ended(container_id, KILL_WAIT_SECONDS):
            raise RuntimeDriverError(f"container {container_id[:12]} outlived KILL by {KILL_WAIT_SECONDS:g} s")

    async def _until_ended(self, key: str, seconds: float) -> bool:
        """Wait for a watched process; return False when the time is over."""
        ended = asyncio.ensure_future(self._watch.wait(key))
        over = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
            return ended.done()
        finally:
            for waiter in (ended, over):
                waiter.cancel()
            await asyncio.gather(ended, over, return_exceptions=True)

    async def remove_container(self, container_id: str) -> None:
        """Kill it if needed and remove its record, log and written files."""
        found = self._records.container(container_id)
        await self.stop_container(container_id, 0)
        await self._files(lambda: self._records.remove(self._records.container_dir(container_id)))
        self._watch.forget(container_id)
        self._stats.forget(container_id)
        self._locks.pop(container_id, None)
        if found is not None:
            self._hub.emit("removed", found.sandbox_id, container_id)

    async def container_status(self, container_id: str) -> ContainerStatus | None:
        """Describe the container."""
        return self._records.container(container_id)

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """List containers."""
        return await self._files(lambda: list(self._records.containers(sandbox_id)))

    async def container_logs(
        self, container_id: str, *, follow: bool, since: float = 0.0, tail: int = -1
    ) -> AsyncIterator[LogLine]:
        """Yield the lines of its log file."""
        directory = self._records.container_dir(container_id)
        config = read_json(directory / "config.json")
        if config is None:
            raise RuntimeDriverError(f"no container {container_id[:12]}", reason="NotFound")

        async def ended() -> bool:
            found = self._records.container(container_id)
            return found is None or found.state is not ContainerState.RUNNING

        watch = self._directories if follow else None
        async for line in read_log(Path(config["log_path"]), Wanted(since, tail), watch=watch, ended=ended):
            yield line

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float, max_output_bytes: int = 16_384
    ) -> ExecResult:
        """Run a command to its end; at the timeout it is killed with all that it started."""
        return await self._commands.run(container_id, command, timeout_seconds, max_output_bytes)

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ExecStream:
        """Begin a command in a running container and connect to it."""
        return await self._commands.start(container_id, command, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, *, stdin: bool) -> AttachStream:
        """Connect to the container's shim."""
        return await self._commands.attach(container_id, stdin=stdin)

    async def container_stats(self) -> Sequence[ContainerStats]:
        """Measure every running container."""

        def measure() -> list[ContainerStats]:
            out = []
            for found in self._records.containers():
                directory = self._records.container_dir(found.id)
                config = read_json(directory / "config.json") if found.state is ContainerState.RUNNING else None
                if config is not None:
                    out.append(self._stats.read(found, config, directory, self._clock.now().timestamp()))
            return out

        return await self._files(measure)

    async def import_images(self, archive: str) -> Sequence[str]:
        """Unpack the images of an archive."""
        if not self._settings.isolated:
            raise RuntimeDriverError("images need root: this runtime runs only `host`", reason="ImageImportFailed")
        return await self._files(lambda: self._images.load(Path(archive)))

    async def pull_image(self, image: str, auth: RegistryAuth | None = None) -> str:  # noqa: ARG002 - no registry here
        """Find a local image: there is no registry client here."""
        found = await self._files(lambda: self._images.find(image))
        if found is None:
            how = "import it with `windlass images import FILE.tar`"
            raise RuntimeDriverError(
                f'image "{image}" is not on this node, and the process runtime pulls from no registry: {how}',
                reason="ErrImagePull",
            )
        return found.id

    async def image_status(self, image: str) -> Image | None:
        """Look for a local image."""
        found = await self._files(lambda: self._images.find(image))
        return Image(found.id, (found.name,), found.size) if found else None

    async def list_images(self) -> Sequence[Image]:
        """List local images."""
        return await self._files(self._images.describe)

    async def remove_image(self, image: str) -> None:
        """Remove an image; never the host's own file system, nor layers that containers stand on."""
        await self._files(lambda: self._images.remove(image, self._records.layers_in_use()))

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield events as they happen."""
        return self._hub.follow()


def _signal(pid: int, number: int, *, group: bool = False) -> None:
    """Signal a process or its group; one that has gone is fine."""
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(pid, number)


def build(config: Mapping[str, Any]) -> ProcessDriver:
    """Build the driver from its configuration section."""
    isolated = bool(config.get("isolated", os.geteuid() == 0))
    chosen = {key: int(config[key]) for key in ("log_max_bytes", "log_max_files", "pids_limit") if key in config}
    settings = Settings(isolated=isolated, **chosen)
    return ProcessDriver(
        Path(config["state_dir"]),
        clock=config.get("clock") or SystemClock(),
        settings=settings,
        max_image_bytes=int(config.get("max_image_bytes", MAX_IMAGE_BYTES)),
    )
