"""Container runtimes, with CRI's verbs.

A runtime runs *pod sandboxes* (the pod's network namespace and what its containers share) and *containers* in them.
Life of a pod: `run_pod_sandbox` -> (the network driver attaches the sandbox) -> per container `pull_image`,
`create_container`, `start_container` -> `stop_container`, `remove_container` -> `stop_pod_sandbox` ->
`remove_pod_sandbox`. Every verb is idempotent; every stop and remove is safe without the start. Everything a runtime
makes carries the given labels, so that an agent that lost its memory finds it again with `list_*`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class ContainerState(StrEnum):
    """CRI's container states."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A pod sandbox to run. `labels` identify it; `host_network` shares the node's network namespace."""

    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    cgroup_parent: str = ""
    log_directory: str = ""
    runtime_handler: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """A sandbox as it is. `netns_path` is empty with host network, and in runtimes without namespaces.

    `ips` is filled only by a runtime that brings its own network, so that no network driver has anything to attach.
    """

    id: str
    ready: bool
    created_at: float
    labels: Mapping[str, str]
    netns_path: str = ""
    attempt: int = 0
    ips: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """Limits for cgroups: 0 means none. CPU in millicores, memory in bytes, `oom_score_adj` as the kernel has it."""

    cpu_request_millis: int = 0
    cpu_limit_millis: int = 0
    memory_limit_bytes: int = 0
    pids_limit: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of a host path into the container."""

    host_path: str
    container_path: str
    readonly: bool = False
    propagation: str = "private"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """A container to create. `command`/`args` are None to use the image's own; `log_path` is the CRI log file."""

    name: str
    attempt: int
    image: str
    command: Sequence[str] | None = None
    args: Sequence[str] | None = None
    working_dir: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    resources: ContainerResources = field(default_factory=ContainerResources)
    stdin: bool = False
    tty: bool = False
    log_path: str = ""
    user: str = ""
    privileged: bool = False
    readonly_rootfs: bool = False
    add_capabilities: Sequence[str] = ()
    drop_capabilities: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """A container as it is. Times are UNIX seconds, 0 when not reached; `reason` e.g. OOMKilled, Error, Completed."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    image: str
    image_id: str
    created_at: float
    started_at: float
    finished_at: float
    exit_code: int
    reason: str
    message: str
    labels: Mapping[str, str]
    pid: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to a container or sandbox: look again. `type`: started, stopped, removed, oom."""

    type: str
    sandbox_id: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """A local image. `size_bytes` on disk; `repo_tags` as users name it."""

    id: str
    repo_tags: Sequence[str]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's output. `stream`: stdout or stderr; `timestamp`: RFC 3339 with nanoseconds."""

    timestamp: str
    stream: str
    content: bytes


@dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """Whether the runtime can take pods, and what it is. `name`/`version` appear in the Node's nodeInfo."""

    ready: bool
    name: str
    version: str
    message: str = ""


class RuntimeDriver(Protocol):
    """A container runtime. Errors are RuntimeDriverError with the reason that users know (ErrImagePull, ...).

    All verbs are async; none may block the loop. `list_*` and `*_status` are safe at any time.
    """

    async def start(self) -> None:
        """Prepare (connect, build the sandbox image). Idempotent."""
        ...

    async def close(self) -> None:
        """Release connections; leave every container running."""
        ...

    async def status(self) -> RuntimeStatus:
        """Say whether pods can be taken."""
        ...

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        """Create and start a sandbox and return its id; the same config again returns the same sandbox."""
        ...

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Stop a sandbox and force-stop whatever still runs in it; unknown ids are fine."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox with all its containers; unknown ids are fine."""
        ...

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus | None:
        """Describe a sandbox; None when there is none."""
        ...

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """List the sandboxes that this driver made, ready or not."""
        ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Create a container in a sandbox and return its id; the same (sandbox, name, attempt) returns the same id."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Start a created container; one that runs is left alone."""
        ...

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Ask with TERM, KILL after the timeout; unknown ids are fine."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Remove a container, killing it if needed; unknown ids are fine."""
        ...

    async def container_status(self, container_id: str) -> ContainerStatus | None:
        """Describe a container; None when there is none."""
        ...

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """List containers that this driver made, running or not, of one sandbox or all."""
        ...

    def container_logs(
        self, container_id: str, *, follow: bool, since: float = 0.0, tail: int = -1
    ) -> AsyncIterator[LogLine]:
        """Yield a container's output; with `follow`, until it ends. `since` UNIX seconds; `tail` -1 means all."""
        ...

    async def pull_image(self, image: str) -> str:
        """Make an image local and return its id. Raises RuntimeDriverError(reason=ErrImagePull...)."""
        ...

    async def image_status(self, image: str) -> Image | None:
        """Describe a local image; None when it is not here."""
        ...

    async def list_images(self) -> Sequence[Image]:
        """List local images."""
        ...

    async def remove_image(self, image: str) -> None:
        """Remove a local image; unknown ones are fine."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield events as they happen, without end; the caller reconnects when it raises."""
        ...
