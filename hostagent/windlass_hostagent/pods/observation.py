"""What the agent knows of a pod's containers at one moment. Plain data: planning and status read nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus

LABEL_NAME = "io.kubernetes.pod.name"
LABEL_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER = "io.kubernetes.container.name"
LABEL_NODE = "windlass.dev/node"
LABEL_HASH = "windlass.dev/container-hash"
"""What the container's definition was when it was made: another one now means that it has to be made anew."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run: the `waiting` state as users see it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes of one running container say. `failed` names the probe that wants it killed, if any.

    `grace_seconds` is that probe's own terminationGracePeriodSeconds, None to take the pod's.
    """

    started: bool = True
    ready: bool = True
    failed: str = ""
    grace_seconds: int | None = None


HEALTHY = Health()


@dataclass(frozen=True, slots=True)
class PodObservation:
    """A pod's sandboxes and containers (all attempts), addresses, and why containers wait.

    `attempts` counts restarts known from elsewhere (the API's status after the runtime lost its records). `health` is
    by container id; containers without probes are not in it. `ended` tells when a container ended on the same clock
    as the planner's `now`; `forced` holds the ids of ended containers that run again whatever the restart policy says.
    """

    sandboxes: Sequence[SandboxStatus] = ()
    containers: Sequence[ContainerStatus] = ()
    ips: Sequence[str] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    ended: Mapping[str, float] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()

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

    def health_of(self, container: ContainerStatus) -> Health:
        """Return what the probes say of a container."""
        return self.health.get(container.id, HEALTHY)

    def started(self, container: ContainerStatus | None) -> bool:
        """Say whether a container runs and its startup probe, if there is one, has passed."""
        return container is not None and container.state is ContainerState.RUNNING and self.health_of(container).started

    def ended_at(self, container: ContainerStatus) -> float:
        """Return when a container ended, on the planner's clock."""
        return self.ended.get(container.id, container.finished_at)

    def running(self) -> list[ContainerStatus]:
        """Return every container that runs."""
        return [c for c in self.containers if c.state is ContainerState.RUNNING]
