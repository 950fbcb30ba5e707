"""What to do next for a pod: pure, from its spec and what the runtime and the probes show.

Order of life: init containers one after another, each to success; a sidecar (an init container that restarts always)
only has to have started, and runs on beside the rest; then all containers. When all containers have ended for good,
the pod is finished, whatever sidecars and ephemeral containers still do.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus
from windlass_hostagent.pods.observation import LABEL_HASH, PodObservation, Waiting
from windlass_hostagent.pods.restart import BackOff, remaining_seconds, should_restart

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContainerStart:
    """A container to create (as `attempt`) and start; `restart` tells that an earlier attempt ended.

    `target_id` is the container whose processes an ephemeral container sees.
    """

    spec: Obj
    attempt: int
    restart: bool
    existing_id: str = ""
    target_id: str = ""


@dataclass(frozen=True, slots=True)
class ContainerKill:
    """A running container to stop; `message` is what users read. `forced`: it runs again whatever the policy."""

    container: ContainerStatus
    message: str
    grace_seconds: int | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class PodPlan:
    """The next steps. `wake_seconds` is when to look again, None when only an event can change anything.

    `finished`: nothing of this pod will ever run again, and what still runs of it is to be stopped.
    """

    needs_sandbox: bool = False
    sandbox_attempt: int = 0
    stale_sandboxes: Sequence[str] = ()
    kill: Sequence[ContainerKill] = ()
    start: Sequence[ContainerStart] = ()
    remove: Sequence[str] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    wake_seconds: float | None = None
    finished: bool = False


def is_sidecar(container: Obj) -> bool:
    """Say whether an init container runs beside the others (its own restartPolicy is Always)."""
    return container.get("restartPolicy") == "Always"


def spec_containers(pod: Obj) -> list[Obj]:
    """Return all containers of the spec: init, regular, ephemeral."""
    spec = pod["spec"]
    return [
        *(spec.get("initContainers") or ()),
        *(spec.get("containers") or ()),
        *(spec.get("ephemeralContainers") or ()),
    ]


def definition_hash(container: Obj) -> str:
    """Return a digest of what may change in a running pod and asks for a new container when it does: the image."""
    text = json.dumps([container["name"], container["image"]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def format_delay(seconds: float) -> str:
    """Format a back-off as kubelet prints it: `10s`, `1m20s`, `5m0s`."""
    whole = int(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"


@dataclass(slots=True)
class _Planner:
    pod: Obj
    observed: PodObservation
    back_offs: Mapping[str, BackOff]
    now: float
    start: list[ContainerStart] = field(default_factory=list)
    kill: list[ContainerKill] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    wake: float | None = None

    @property
    def policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy") or "Always")

    def done(self, container: Obj) -> bool:
        """Say whether a regular container has ended for good."""
        last = self.observed.latest(container["name"])
        if last is None or last.state is not ContainerState.EXITED or last.id in self.observed.forced:
            return False
        return not should_restart(self.policy, last.exit_code)

    def consider(self, container: Obj, policy: str) -> None:
        """Start one container if it should run and does not; stop it if it should not run on."""
        name = container["name"]
        last = self.observed.latest(name)
        if last is None:
            attempt = self.observed.attempts.get(name, -1) + 1
            self.start.append(ContainerStart(container, attempt, restart=attempt > 0))
        elif last.state is ContainerState.CREATED:
            self.start.append(ContainerStart(container, last.attempt, restart=False, existing_id=last.id))
        elif last.state is ContainerState.RUNNING:
            self.judge(container, last, policy)
        elif last.id in self.observed.forced:
            self.start.append(ContainerStart(container, last.attempt + 1, restart=True))
        elif last.state is ContainerState.EXITED and should_restart(policy, last.exit_code):
            self.restart(container, last)

    def judge(self, container: Obj, running: ContainerStatus, policy: str) -> None:
        """Stop a running container whose definition changed or whose probe has given it up."""
        name, again = container["name"], ", will be restarted"
        made_as = running.labels.get(LABEL_HASH)
        health = self.observed.health_of(running)
        if made_as and made_as != definition_hash(container):
            self.kill.append(ContainerKill(running, f"Container {name} definition changed{again}", forced=True))
        elif health.failed:
            message = f"Container {name} failed {health.failed} probe" + ("" if policy == "Never" else again)
            self.kill.append(ContainerKill(running, message, health.grace_seconds))

    def restart(self, container: Obj, last: ContainerStatus) -> None:
        """Start an ended container again, or say how long it waits."""
        name = container["name"]
        entry = self.back_offs.get(name)
        wait = remaining_seconds(entry, self.observed.ended_at(last), self.now)
        if wait <= 0 or entry is None:
            self.start.append(ContainerStart(container, last.attempt + 1, restart=True))
            return
        meta = self.pod["metadata"]
        where = f"container={name} pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        self.waiting[name] = Waiting(
            "CrashLoopBackOff", f"back-off {format_delay(entry.delay_seconds)} restarting failed {where}"
        )
        self.wake = wait if self.wake is None else min(self.wake, wait)

    def ephemeral(self, container: Obj) -> None:
        """Start an ephemeral container once; it never runs again."""
        name, target = container["name"], container.get("targetContainerName")
        last = self.observed.latest(name)
        if last is None and self.observed.attempts.get(name, -1) >= 0:
            return
        if last is not None and last.state is not ContainerState.CREATED:
            return
        aim = self.observed.latest(target) if target else None
        if target and (aim is None or aim.state is not ContainerState.RUNNING):
            self.waiting[name] = Waiting("CreateContainerConfigError", f'unable to find target container "{target}"')
            return
        existing = last.id if last else ""
        self.start.append(ContainerStart(container, 0, False, existing, aim.id if aim else ""))


def plan_pod(pod: Obj, observed: PodObservation, back_offs: Mapping[str, BackOff], now: float) -> PodPlan:
    """Decide the next steps of a pod that is not being deleted."""
    spec = pod["spec"]
    planner = _Planner(pod, observed, back_offs, now)
    init = list(spec.get("initContainers") or ())
    apps = list(spec.get("containers") or ())
    if all(planner.done(c) for c in apps) or _init_failed(planner, init):
        return PodPlan(finished=True, remove=superseded(observed))
    sandbox = observed.sandbox
    stale = [s.id for s in observed.sandboxes if sandbox is None or s.id != sandbox.id]
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
    for container in spec.get("ephemeralContainers") or ():
        planner.ephemeral(container)
    return PodPlan(
        stale_sandboxes=stale,
        kill=tuple(planner.kill),
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
        last = planner.observed.latest(container["name"])
        if is_sidecar(container):
            planner.consider(container, "Always")
            if not planner.observed.started(last):
                return
            continue
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
        if is_sidecar(container):
            if not observed.started(last):
                return False
        elif last is None or last.state is not ContainerState.EXITED or last.exit_code != 0:
            return False
    return True


def superseded(observed: PodObservation) -> list[str]:
    """Return the ended attempts to remove: all but the newest two of each container (the last is `--previous`)."""
    remove: list[str] = []
    for name in {c.name for c in observed.containers}:
        remove += [c.id for c in observed.history(name)[2:] if c.state is not ContainerState.RUNNING]
    return remove


def active_seconds_left(pod: Obj, now: float, started_at: float) -> float | None:
    """Return how long the pod may still be active (`activeDeadlineSeconds`), None without a limit; 0 when over."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    return None if limit is None else max(0.0, started_at + float(limit) - now)


def start_batches(starts: Sequence[ContainerStart]) -> list[list[ContainerStart]]:
    """Split starts into groups that begin side by side: nothing starts before the postStart hook of one before it."""
    batches: list[list[ContainerStart]] = [[]]
    for start in starts:
        batches[-1].append(start)
        if (start.spec.get("lifecycle") or {}).get("postStart"):
            batches.append([])
    return [batch for batch in batches if batch]
