"""What the agent knows of a pod's containers at one moment. Plain data: planning and status read nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus

LABEL_NAME = "io.kubernetes.pod.name"
LABEL_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER = "io.kubernetes.container.name"
LABEL_NODE = "windlass.dev/node"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run: the `waiting` state as users see it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodObservation:
    """A pod's sandboxes and containers (all attempts), addresses, and why containers wait.

    `attempts` counts restarts known from elsewhere (the API's status after the runtime lost its records).
    """

    sandboxes: Sequence[SandboxStatus] = ()
    containers: Sequence[ContainerStatus] = ()
    ips: Sequence[str] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The newest sandbox that is ready."""
        ready = [s for s in self.sandboxes if s.ready]
        return max(ready, key=lambda s: s.attempt, default=None)

    def history(self, name: str) -> list[ContainerStatus]:
        """Return the attempts of one container, newest first."""
        found = [c for c in self.containers if c.name == name]
        return sorted(found, key=lambda c: (c.attempt, c.created_at), reverse=True)

    def latest(self, name: str) -> ContainerStatus | None:
        """Return the newest attempt of one container."""
        history = self.history(name)
        return history[0] if history else None

    def running(self) -> list[ContainerStatus]:
        """Return every container that runs."""
        return [c for c in self.containers if c.state is ContainerState.RUNNING]
