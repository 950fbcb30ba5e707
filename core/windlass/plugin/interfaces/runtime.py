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

from windlass.errors import RuntimeDriverError


class ContainerState(StrEnum):
    """CRI's container states."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """Limits for cgroups: 0 means none. CPU in millicores, memory in bytes, `oom_score_adj` as the kernel has it."""

    cpu_request_millis: int = 0
    cpu_limit_millis: int = 0
    memory_limit_bytes: int = 0
    pids_limit: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A pod sandbox to run. `labels` identify it; `host_*` share the node's namespaces of that sort.

    `share_process_namespace`: the containers see each other's processes, the sandbox's own is pid 1. `sysctls` are
    set in the sandbox's namespaces. `cgroup_parent` is the pod's cgroup; empty lets the runtime choose. `resources`
    are the limits of that cgroup: of all containers together.
    """

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
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    resources: ContainerResources = field(default_factory=ContainerResources)


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
class Mount:
    """A bind mount of a host path into the container. `propagation`: private, rslave or rshared.

    `recursive_readonly`: what is mounted below the source is read-only too.
    """

    host_path: str
    container_path: str
    readonly: bool = False
    propagation: str = "private"
    recursive_readonly: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the node in the container. `permissions`: any of r, w, m."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """A container to create. `command`/`args` are None to use the image's own; `log_path` is the CRI log file.

    `user` is `uid[:gid]` or empty for the image's own; `seccomp_profile` is `runtime/default`, `unconfined` or
    `localhost/<absolute path of a profile>`; `apparmor_profile` likewise, empty for the runtime's choice;
    `target_container_id` names the container whose pid namespace is shared (ephemeral containers);
    `unmasked_proc` is `procMount: Unmasked`; `stdin_once` closes stdin after the first attached client has gone.
    """

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
    stdin_once: bool = False
    supplemental_groups: Sequence[int] = ()
    no_new_privileges: bool = False
    seccomp_profile: str = "runtime/default"
    apparmor_profile: str = ""
    unmasked_proc: bool = False
    devices: Sequence[Device] = ()
    target_container_id: str = ""


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
    """A local image. `size_bytes` on disk; `repo_tags` as users name it; a `pinned` one is never collected.

    `user` is the `user[:group]` that its containers run as, empty for root; only `image_status` tells it.
    """

    id: str
    repo_tags: Sequence[str]
    size_bytes: int
    pinned: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's output. `stream`: stdout or stderr; `timestamp`: RFC 3339 with nanoseconds."""

    timestamp: str
    stream: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in a container ended. `output` is stdout and stderr as they came, cut at the asked bound."""

    exit_code: int
    output: bytes


class ExecTimeoutError(RuntimeDriverError):
    """A command in a container did not end in time; it has been killed."""


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """What a container uses. CPU in nanoseconds since its start, memory and file system in bytes.

    `memory_working_set_bytes` is usage minus inactive file cache, what eviction goes by; `rootfs_bytes` what the
    container wrote outside its volumes, `log_bytes` its log; -1 where the runtime cannot tell.
    """

    container_id: str
    name: str
    labels: Mapping[str, str]
    timestamp: float
    cpu_usage_nanoseconds: int
    memory_usage_bytes: int
    memory_working_set_bytes: int
    memory_rss_bytes: int = 0
    rootfs_bytes: int = -1
    log_bytes: int = -1
    pids: int = 0


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Credentials for one pull, from an image pull secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    server_address: str = ""


class ContainerStream(Protocol):
    """A live connection to a process in a container (exec) or to a container's own streams (attach).

    One reader and one writer at a time. `close` ends the connection: an exec's process is hung up and, after a
    second, killed; an attached container runs on.
    """

    def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield ("stdout" | "stderr", bytes) until both have ended; everything is stdout with a tty."""
        ...

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the process does not read."""
        ...

    async def close_stdin(self) -> None:
        """End stdin."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size in characters; nothing without a tty."""
        ...

    async def wait(self) -> int:
        """Return the exit code, after the output has ended."""
        ...

    async def close(self) -> None:
        """End the connection. Safe to repeat."""
        ...


@dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """Whether the runtime can take pods, and what it is. `name`/`version` appear in the Node's nodeInfo.

    `image_filesystem` is a host path on the file system that holds images and written layers.
    """

    ready: bool
    name: str
    version: str
    message: str = ""
    image_filesystem: str = ""


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

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float, max_output_bytes: int = 16_384
    ) -> ExecResult:
        """Run a command in a running container to its end. Raises ExecTimeoutError after killing it."""
        ...

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ContainerStream:
        """Begin a command in a running container and connect to it."""
        ...

    async def attach(self, container_id: str, *, stdin: bool) -> ContainerStream:
        """Connect to the streams of a running container's first process; a tty if it was created with one."""
        ...

    async def container_stats(self) -> Sequence[ContainerStats]:
        """Measure every running container that this driver made."""
        ...

    async def pull_image(self, image: str, auth: RegistryAuth | None = None) -> str:
        """Make an image local and return its id. Raises RuntimeDriverError(reason=ErrImagePull...)."""
        ...

    async def import_images(self, archive: str) -> Sequence[str]:
        """Load a `docker save` or OCI archive from a local file and return the names it brought."""
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
