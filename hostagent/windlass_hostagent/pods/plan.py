"""What to do next for a pod: pure, from its spec and what the runtime shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus
from windlass_hostagent.pods.observation import PodObservation, Waiting
from windlass_hostagent.pods.restart import BackOff, remaining_seconds, should_restart

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContainerStart:
    """A container to create (as `attempt`) and start; `restart` tells that an earlier attempt ended."""

    spec: Obj
    attempt: int
    restart: bool
    existing_id: str = ""


@dataclass(frozen=True, slots=True)
class PodPlan:
    """The next steps. `wake_seconds` is when to look again, None when only an event can change anything.

    `finished`: nothing of this pod will ever run again.
    """

    needs_sandbox: bool = False
    sandbox_attempt: int = 0
    stale_sandboxes: Sequence[str] = ()
    start: Sequence[ContainerStart] = ()
    remove: Sequence[str] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    wake_seconds: float | None = None
    finished: bool = False


def is_sidecar(container: Obj) -> bool:
    """Say whether an init container runs beside the others (its own restartPolicy is Always)."""
    return container.get("restartPolicy") == "Always"


def spec_containers(pod: Obj) -> list[Obj]:
    """Return all containers of the spec, init containers first."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


@dataclass(slots=True)
class _Planner:
    pod: Obj
    observed: PodObservation
    back_offs: Mapping[str, BackOff]
    now: float
    start: list[ContainerStart] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    wake: float | None = None

    @property
    def policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy") or "Always")

    def done(self, container: Obj) -> bool:
        """Say whether a regular container has ended for good."""
        last = self.observed.latest(container["name"])
        ended = last is not None and last.state is ContainerState.EXITED
        return ended and last is not None and not should_restart(self.policy, last.exit_code)

    def consider(self, container: Obj, policy: str) -> None:
        """Start one container if it should run and does not."""
        name = container["name"]
        last = self.observed.latest(name)
        if last is None:
            attempt = self.observed.attempts.get(name, -1) + 1
            self.start.append(ContainerStart(container, attempt, restart=attempt > 0))
        elif last.state is ContainerState.CREATED:
            self.start.append(ContainerStart(container, last.attempt, restart=False, existing_id=last.id))
        elif last.state is ContainerState.EXITED and should_restart(policy, last.exit_code):
            self.restart(container, last)

    def restart(self, container: Obj, last: ContainerStatus) -> None:
        """Start an ended container again, or say how long it waits."""
        name = container["name"]
        entry = self.back_offs.get(name)
        wait = remaining_seconds(entry, last.finished_at, self.now)
        if wait <= 0 or entry is None:
            self.start.append(ContainerStart(container, last.attempt + 1, restart=True))
            return
        meta = self.pod["metadata"]
        where = f"container={name} pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        self.waiting[name] = Waiting(
            "CrashLoopBackOff", f"back-off {format_delay(entry.delay_seconds)} restarting failed {where}"
        )
        self.wake = wait if self.wake is None else min(self.wake, wait)


def format_delay(seconds: float) -> str:
    """Format a back-off as kubelet prints it: `10s`, `1m20s`, `5m0s`."""
    whole = int(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"


def plan_pod(pod: Obj, observed: PodObservation, back_offs: Mapping[str, BackOff], now: float) -> PodPlan:
    """Decide the next steps of a pod that is not being deleted."""
    planner = _Planner(pod, observed, back_offs, now)
    init = list(pod["spec"].get("initContainers") or ())
    apps = list(pod["spec"].get("containers") or ())
    finished = all(planner.done(c) for c in apps) or _init_failed(planner, init)
    sandbox = observed.sandbox
    stale = [s.id for s in observed.sandboxes if sandbox is None or s.id != sandbox.id]
    if finished:
        return PodPlan(finished=True, stale_sandboxes=(), remove=superseded(observed))
    if sandbox is None:
        attempt = max((s.attempt for s in observed.sandboxes), default=-1) + 1
        return PodPlan(needs_sandbox=True, sandbox_attempt=attempt, stale_sandboxes=stale)
    if initialized(pod, observed):
        for container in init:
            if is_sidecar(container):
                planner.consider(container, "Always")
        for container in apps:
            planner.consider(container, planner.policy)
    else:
        _next_init(planner, init)
    return PodPlan(
        stale_sandboxes=stale,
        start=tuple(planner.start),
        remove=superseded(observed),
        waiting=planner.waiting,
        wake_seconds=planner.wake,
    )


def _init_failed(planner: _Planner, init: list[Obj]) -> bool:
    if planner.policy != "Never":
        return False
    last = [planner.observed.latest(c["name"]) for c in init if not is_sidecar(c)]
    return any(c is not None and c.state is ContainerState.EXITED and c.exit_code != 0 for c in last)


def _next_init(planner: _Planner, init: list[Obj]) -> None:
    """Start the first init container that is not done; sidecars before it are kept running."""
    for container in init:
        if is_sidecar(container):
            planner.consider(container, "Always")
            last = planner.observed.latest(container["name"])
            if last is None or last.state is not ContainerState.RUNNING:
                return
            continue
        last = planner.observed.latest(container["name"])
        if last is not None and last.state is ContainerState.EXITED and last.exit_code == 0:
            continue
        planner.consider(container, "Never" if planner.policy == "Never" else "OnFailure")
        return


def initialized(pod: Obj, observed: PodObservation) -> bool:
    """Say whether all init containers are done (sidecars: started), or the app containers have run already."""
    spec = pod["spec"]
    if any(observed.latest(c["name"]) is not None for c in spec.get("containers") or ()):
        return True
    for container in spec.get("initContainers") or ():
        last = observed.latest(container["name"])
        if last is None:
            return False
        if is_sidecar(container):
            if last.state is not ContainerState.RUNNING:
                return False
        elif last.state is not ContainerState.EXITED or last.exit_code != 0:
            return False
    return True


def superseded(observed: PodObservation) -> list[str]:
    """Return the ended attempts to remove: all but the newest two of each container (the last is `--previous`)."""
    remove: list[str] = []
    for name in {c.name for c in observed.containers}:
        remove += [c.id for c in observed.history(name)[2:] if c.state is not ContainerState.RUNNING]
    return remove
