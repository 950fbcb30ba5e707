"""Looks at what the runtime has of one pod, and adds what the runtime does not know: probes, messages, steady times."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.observation import PodObservation
from windlass_hostagent.pods.plan import spec_containers
from windlass_hostagent.pods.probes.table import ProbeTable
from windlass_hostagent.pods.steps.termination_message import read_message

Obj = dict[str, Any]
LONGEST_AGO_SECONDS = 24 * 3600.0


class Observer:
    """Memory of one pod between looks: all of it can be found again by looking."""

    def __init__(self, context: AgentContext, probes: ProbeTable, pod: Obj, sandboxes: Sequence[str]) -> None:
        self.known = set(sandboxes)
        self.ips: dict[str, Sequence[str]] = {}
        self.attempts: dict[str, int] = {}
        self.forced: set[str] = set()
        self._context = context
        self._probes = probes
        self._ended: dict[str, float] = {}
        self._messages: dict[str, str] = {}
        status = pod.get("status") or {}
        for entry in _entries(status):
            if entry.get("containerID"):
                self.attempts[entry["name"]] = int(entry.get("restartCount") or 0)

    def steady(self, wall: float) -> float:
        """Translate a wall time of the past into this process's steady time, whatever the wall clock has done."""
        ago = self._context.clock.now().timestamp() - wall
        return self._context.clock.monotonic() - min(max(ago, 0.0), LONGEST_AGO_SECONDS)

    async def look(self, pod: Obj) -> PodObservation:
        """Return what there is now. Raises RuntimeDriverError."""
        sandboxes: list[SandboxStatus] = []
        containers: list[ContainerStatus] = []
        for sandbox_id in sorted(self.known):
            found = await self._context.runtime.pod_sandbox_status(sandbox_id)
            if found is None:
                self.known.discard(sandbox_id)
                self.ips.pop(sandbox_id, None)
                continue
            sandboxes.append(found)
            containers += await self._context.runtime.list_containers(sandbox_id)
        containers = [await self._with_message(pod, c) for c in containers]
        self._remember(containers)
        current = PodObservation(sandboxes=sandboxes).sandbox
        reported = [p["ip"] for p in (pod.get("status") or {}).get("podIPs") or ()] if sandboxes else []
        ips = self.ips.get(current.id, ()) if current else reported
        self._watch(pod, containers, ips[0] if ips else "")
        return PodObservation(
            sandboxes=sandboxes,
            containers=containers,
            ips=ips,
            attempts=dict(self.attempts),
            health=self._probes.health(pod["metadata"]["uid"]),
            ended=dict(self._ended),
            forced=frozenset(self.forced),
        )

    def _remember(self, containers: Sequence[ContainerStatus]) -> None:
        """Note restarts and ends, and forget what is no longer there."""
        ids = {c.id for c in containers}
        for container in containers:
            self.attempts[container.name] = max(self.attempts.get(container.name, 0), container.attempt)
            if container.state is ContainerState.EXITED and container.id not in self._ended:
                self._ended[container.id] = self.steady(container.finished_at)
        self._ended = {i: at for i, at in self._ended.items() if i in ids}
        self._messages = {i: text for i, text in self._messages.items() if i in ids}
        self.forced &= ids

    async def _with_message(self, pod: Obj, container: ContainerStatus) -> ContainerStatus:
        """Fill in what an ended container had to say, read once."""
        if container.state is not ContainerState.EXITED:
            return container
        if container.id not in self._messages:
            spec = next((c for c in spec_containers(pod) if c["name"] == container.name), {})
            self._messages[container.id] = await read_message(self._context, pod, spec, container)
        return replace(container, message=self._messages[container.id])

    def _watch(self, pod: Obj, containers: Sequence[ContainerStatus], ip: str) -> None:
        specs = {c["name"]: c for c in spec_containers(pod)}
        running = [(specs[c.name], c) for c in containers if c.state is ContainerState.RUNNING and c.name in specs]
        before = {e["name"]: e for e in _entries(pod.get("status") or {})}
        self._probes.watch(pod, running, ip, before)


def _entries(status: Obj) -> list[Obj]:
    fields = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [entry for name in fields for entry in status.get(name) or ()]
