"""The `docker` runtime: a sandbox is a container of the pause image, its containers share its namespaces.

Containers outlive the agent: nothing here stops them, and labels find them again. Docker's own restart policies,
networks and volumes are not used.
"""

import asyncio
import json
import os
import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.clock import Clock, SystemClock
from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerStats,
    ContainerStatus,
    ContainerStream,
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
from windlass_runtime.docker import images, logs, translate
from windlass_runtime.docker.engine import DEFAULT_ENDPOINT, DockerApiError, DockerEngine, NotFound
from windlass_runtime.docker.inventory import Inventory
from windlass_runtime.docker.processes import Processes
from windlass_runtime.docker.stats import StatsReader
from windlass_runtime.oom import lowest_oom_score_adj

CONCURRENT_STARTS = 8
"""Docker's creations run side by side up to here; more only makes its own locks longer."""
KILL_WAIT_SECONDS = 10.0
DETACHED_SECONDS = 2.0
"""A container that runs on this long after its streams have ended was only detached from."""
EVENTS = {"start": "started", "die": "stopped", "destroy": "removed", "oom": "oom"}
log = get_logger(__name__)


class DockerDriver:
    """Docker, or Podman's Docker-compatible socket."""

    def __init__(self, engine: DockerEngine, *, place: translate.Place, clock: Clock) -> None:
        self._engine = engine
        self._node_name = place.node_name
        self._place = place
        self._clock = clock
        self._inventory = Inventory(engine, place.node_name)
        self._processes = Processes(engine)
        self._stats = StatsReader(clock)
        self._root_dir = ""
        self._systemd = False
        self._slots = asyncio.Semaphore(CONCURRENT_STARTS)
        self._prepared = False

    async def start(self) -> None:
        """Connect and make the sandbox image if it is not there."""
        await self._engine.connect()
        info = await self._engine.request("GET", "/info")
        self._root_dir = str(info.get("DockerRootDir") or "")
        self._systemd = info.get("CgroupDriver") == "systemd"
        if await self.image_status(pause.IMAGE) is None:
            layer = pause.pause_layer(platform.machine())
            answer = await self._engine.call(
                lambda c: c.import_image_from_data(layer, repository=pause.REPOSITORY, tag=pause.TAG)
            )
            log.info("pause_image_made", image=pause.IMAGE, answer=str(answer).strip())
        self._prepared = True

    async def close(self) -> None:
        """Close connections; containers run on."""
        await self._engine.close()

    async def status(self) -> RuntimeStatus:
        """Ask Docker for its version."""
        version = await self._engine.request("GET", "/version")
        return RuntimeStatus(
            ready=self._prepared,
            name="docker",
            version=str(version.get("Version", "unknown")),
            image_filesystem=self._root_dir,
        )

    async def _create(self, name: str, body: dict[str, Any], reason: str) -> str:
        """Create a container, or find the one of that name that an earlier call made."""
        try:
            made = await self._engine.request("POST", "/containers/create", params={"name": name}, body=body)
        except NotFound as error:
            raise RuntimeDriverError(
                str(error.explanation), reason="ErrImageNeverPull" if "image" in str(error) else reason
            ) from error
        except DockerApiError as error:
            if error.status_code != 409:
                raise RuntimeDriverError(str(error.explanation), reason=reason) from error
            return await self._find_same(name, body, error)
        return str(made["Id"])

    async def _find_same(self, name: str, body: dict[str, Any], conflict: DockerApiError) -> str:
        """Return the id of the container that holds the name, if it is ours and not another's."""
        found = await self._inventory.inspect(name)
        labels = (found or {}).get("Config", {}).get("Labels") or {}
        if found is None or any(labels.get(key) != body["Labels"].get(key) for key in (translate.TYPE, translate.NODE)):
            raise RuntimeDriverError(f"the name {name} is taken: {conflict.explanation}", reason="CreateContainerError")
        return str(found["Id"])

    async def _start(self, container_id: str, reason: str) -> None:
        self._inventory.touch(container_id)
        try:
            await self._engine.request("POST", f"/containers/{container_id}/start")
        except DockerApiError as error:
            self._inventory.touch(container_id)
            raise RuntimeDriverError(str(error.explanation), reason=reason) from error

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        """Create and start the sandbox."""
        async with self._slots:
            parent = pod_cgroups.docker_parent(config.cgroup_parent, systemd=self._systemd)
            body = translate.sandbox_body(config, replace(self._place, cgroup_parent=parent))
            sandbox_id = await self._create(translate.sandbox_name(config), body, "CreatePodSandboxError")
            self._inventory.created(sandbox_id, "")
            await self._start(sandbox_id, "CreatePodSandboxError")
            if parent:
                await self._limit(parent, config)
        return sandbox_id

    async def _limit(self, parent: str, config: SandboxConfig) -> None:
        """Set the limits of the pod's cgroup, which Docker made with the sandbox."""
        try:
            await asyncio.to_thread(pod_cgroups.apply, parent, config.resources)
        except OSError as error:
            message = f"cannot set the limits of cgroup {parent}: {error}"
            raise RuntimeDriverError(message, reason="CreatePodSandboxError") from error

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Kill the containers, then the sandbox; all stay to be looked at."""
        running = [c.id for c in await self.list_containers(sandbox_id) if c.state == "running"]
        await asyncio.gather(*(self._kill(i, "SIGKILL") for i in [*running, sandbox_id]))
        for container_id in [*running, sandbox_id]:
            await self._inventory.wait_exit(container_id, KILL_WAIT_SECONDS)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove the sandbox after everything in it."""
        attrs = await self._inventory.inspect(sandbox_id)
        members = await self.list_containers(sandbox_id)
        await asyncio.gather(*(self.remove_container(c.id) for c in members))
        await self.remove_container(sandbox_id)
        parent = str(attrs["HostConfig"].get("CgroupParent") or "") if attrs else ""
        if parent:
            await asyncio.to_thread(pod_cgroups.remove, parent)

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus | None:
        """Describe the sandbox."""
        attrs = await self._inventory.inspect(sandbox_id)
        return translate.sandbox_status(attrs) if attrs else None

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """List our sandboxes."""
        return [translate.sandbox_status(a) for a in await self._inventory.look("sandbox")]

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Create a container in the sandbox's namespaces."""
        name = translate.object_name(config.name, {**config.labels}, config.attempt)
        if "io.kubernetes.pod.uid" not in config.labels:
            name = f"{name}_{sandbox_id[:12]}"
        sandbox = await self._inventory.inspect(sandbox_id)
        if sandbox is None:
            raise RuntimeDriverError(f"no sandbox {sandbox_id[:12]}", reason="CreateContainerError")
        place = translate.place_in(sandbox, replace(self._place, seccomp=await read_profile(config.seccomp_profile)))
        body = translate.container_body(config, place)
        async with self._slots:
            container_id = await self._create(name, body, "CreateContainerError")
        self._inventory.created(container_id, sandbox_id)
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Start it; Docker leaves a running one alone."""
        async with self._slots:
            await self._start(container_id, "RunContainerError")

    async def _kill(self, container_id: str, signal: str) -> None:
        """Send a signal; a container that is gone or has ended is fine."""
        self._inventory.touch(container_id)
        try:
            await self._engine.request("POST", f"/containers/{container_id}/kill", params={"signal": signal})
        except DockerApiError as error:
            if error.status_code not in (404, 409) and "is not running" not in str(error.explanation):
                raise RuntimeDriverError(f"cannot signal {container_id[:12]}: {error.explanation}") from error

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Send the image's stop signal, wait without holding a thread, then KILL."""
        attrs = await self._inventory.inspect(container_id)
        if attrs is None or not attrs["State"].get("Running"):
            return
        if timeout_seconds > 0:
            await self._kill(container_id, attrs["Config"].get("StopSignal") or "SIGTERM")
            if await self._inventory.wait_exit(container_id, timeout_seconds):
                return
        await self._kill(container_id, "SIGKILL")
        if not await self._inventory.wait_exit(container_id, KILL_WAIT_SECONDS):
            raise RuntimeDriverError(f"container {container_id[:12]} outlived KILL by {KILL_WAIT_SECONDS:g} s")

    async def remove_container(self, container_id: str) -> None:
        """Remove it with its anonymous volumes."""
        self._inventory.touch(container_id)
        try:
            await self._engine.request("DELETE", f"/containers/{container_id}", params={"v": "1", "force": "1"})
        except NotFound:
            log.debug("container_already_removed", container=container_id)
        except DockerApiError as error:
            if "already in progress" not in str(error.explanation):
                raise RuntimeDriverError(f"cannot remove {container_id[:12]}: {error.explanation}") from error
        self._inventory.changed(container_id, "destroy")

    async def container_status(self, container_id: str) -> ContainerStatus | None:
        """Describe the container."""
        attrs = await self._inventory.inspect(container_id)
        return translate.container_status(attrs) if attrs else None

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """List our containers."""
        return [translate.container_status(a) for a in await self._inventory.look("container", sandbox_id)]

    async def container_logs(
        self, container_id: str, *, follow: bool, since: float = 0.0, tail: int = -1
    ) -> AsyncIterator[LogLine]:
        """Yield the output from Docker's own log."""
        attrs = await self._inventory.inspect(container_id)
        if attrs is None:
            raise RuntimeDriverError(f"no container {container_id[:12]}", reason="NotFound")
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
        if since > 0:
            params["since"] = f"{since:.9f}"
        params["tail"] = str(tail) if tail >= 0 else "all"
        chunks = self._engine.stream(f"/containers/{attrs['Id']}/logs", params)
        async with aclosing(logs.parse(chunks, tty=bool(attrs["Config"].get("Tty")))) as lines:  # type: ignore[type-var]
            async for line in lines:
                yield line

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float, max_output_bytes: int = 16_384
    ) -> ExecResult:
        """Run a command to its end."""
        return await self._processes.exec_sync(
            container_id, command, timeout_seconds=timeout_seconds, max_output_bytes=max_output_bytes
        )

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ContainerStream:
        """Begin a command and connect to it."""
        return await self._processes.exec(container_id, command, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, *, stdin: bool) -> ContainerStream:
        """Connect to the container's first process."""
        attrs = await self._inventory.inspect(container_id)
        if attrs is None or not attrs["State"].get("Running"):
            raise RuntimeDriverError(f"container {container_id[:12]} is not running", reason="ContainerNotRunning")
        tty = bool(attrs["Config"].get("Tty"))
        return await self._processes.attach(
            container_id, stdin=stdin, tty=tty, exit_code=lambda: self._exit_code(container_id)
        )

    async def _exit_code(self, container_id: str) -> int:
        """Return how an attached container ended; 0 when only the connection did, 137 when it was removed."""
        if not await self._inventory.wait_exit(container_id, DETACHED_SECONDS):
            return 0
        attrs = await self._inventory.inspect(container_id)
        return int(attrs["State"].get("ExitCode") or 0) if attrs else 137

    async def container_stats(self) -> Sequence[ContainerStats]:
        """Measure every running container."""
        return await self._stats.read(await self._inventory.look("container"))

    async def pull_image(self, image: str, auth: RegistryAuth | None = None) -> str:
        """Pull from the image's registry."""
        return await images.pull(self._engine, image, auth)

    async def import_images(self, archive: str) -> Sequence[str]:
        """Load a saved image."""
        return await images.load(self._engine, archive)

    async def image_status(self, image: str) -> Image | None:
        """Look for a local image."""
        return await images.status(self._engine, image)

    async def list_images(self) -> Sequence[Image]:
        """List local images."""
        return await images.list_all(self._engine)

    async def remove_image(self, image: str) -> None:
        """Remove a local image."""
        await images.remove(self._engine, image)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to our containers, and keep the inventory right."""
        filters = {
            "type": ["container"],
            "event": list(EVENTS),
            "label": [f"{translate.NODE}={self._node_name}"],
        }
        buffer = b""
        try:
            async for chunk in self._engine.stream("/events", {"filters": json.dumps(filters)}):
                if not chunk:
                    self._inventory.set_live(live=True)
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    event = self._event(line)
                    if event is not None:
                        yield event
        finally:
            self._inventory.set_live(live=False)

    def _event(self, line: bytes) -> RuntimeEvent | None:
        """Read one event; None when it tells nothing new."""
        if not line.strip():
            return None
        raw: Mapping[str, Any] = json.loads(line)
        actor = raw.get("Actor") or {}
        labels, action = actor.get("Attributes") or {}, str(raw.get("Action"))
        container_id = str(actor.get("ID", ""))
        if action not in EVENTS or not self._inventory.changed(container_id, action):
            return None
        if labels.get(translate.TYPE) == "sandbox":
            return RuntimeEvent(EVENTS[action], container_id, "")
        return RuntimeEvent(EVENTS[action], labels.get(translate.SANDBOX_ID, ""), container_id)


async def read_profile(name: str) -> str:
    """Return the content of a seccomp profile of this node, empty for the well-known ones."""
    path = name.removeprefix("localhost/")
    if path == name:
        return ""
    try:
        text = await asyncio.to_thread(Path(path).read_text)
        return json.dumps(json.loads(text))
    except (OSError, ValueError) as error:
        message = f"cannot load seccomp profile {path!r}: {error}"
        raise RuntimeDriverError(message, reason="CreateContainerError") from error


def build(config: Mapping[str, Any]) -> DockerDriver:
    """Build the driver from its configuration section."""
    engine = DockerEngine(
        str(config.get("endpoint") or os.environ.get("DOCKER_HOST") or DEFAULT_ENDPOINT),
        call_seconds=float(config.get("call_seconds") or 30.0),
    )
    place = translate.Place(
        node_name=str(config.get("node_name", "")),
        oom_floor=lowest_oom_score_adj(),
        ulimits=dict(config.get("ulimits") or {}),
    )
    return DockerDriver(engine, place=place, clock=config.get("clock") or SystemClock())
