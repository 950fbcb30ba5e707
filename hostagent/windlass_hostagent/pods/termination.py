"""How containers are stopped: preStop, TERM, KILL, within one deadline that may move closer; sidecars last.

A sidecar is asked to end once everything that may still need it has ended: the containers, then the sidecars that
started after it, the last one first. All preStop hooks begin at once, as kubelet has it.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.failpoints import fail_point
from windlass_hostagent.pods.deadline import Deadline, every, first
from windlass_hostagent.pods.plan import is_sidecar, spec_containers
from windlass_hostagent.pods.steps.hooks import pre_stop

Obj = dict[str, Any]
DEFAULT_GRACE_SECONDS = 30.0
MINIMUM_SECONDS = 2.0
"""What a container gets after TERM even when its hook or its turn has used the grace up."""
GONE_GRACE_SECONDS = 1.0
"""What the containers get of a pod that was taken out of the API by force."""


def pod_grace(pod: Obj) -> float:
    """Return the pod's own grace period."""
    granted = pod["spec"].get("terminationGracePeriodSeconds")
    return DEFAULT_GRACE_SECONDS if granted is None else max(0.0, float(granted))


def deletion_grace(pod: Obj) -> float:
    """Return how long a pod that is being deleted may take, counted from when that is first seen.

    Not from deletionTimestamp: a node whose clock is ahead would kill at once.
    """
    granted = pod["metadata"].get("deletionGracePeriodSeconds")
    return pod_grace(pod) if granted is None else max(0.0, float(granted))


def stop_after(pod: Obj) -> dict[str, set[str]]:
    """Return, for each sidecar, the containers that have to have ended before it is asked to. Pure."""
    spec = pod["spec"]
    sidecars = [c["name"] for c in spec.get("initContainers") or () if is_sidecar(c)]
    others = {c["name"] for c in spec.get("containers") or ()}
    return {name: others | set(sidecars[i + 1 :]) for i, name in enumerate(sidecars)}


class Terminator:
    """Stops the containers of one pod. Remembers whose preStop has begun, so that no hook runs twice."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._hooked: set[str] = set()

    async def stop(
        self, pod: Obj, container: ContainerStatus, deadline: Deadline, *, ip: str, message: str,
        turn: Coroutine[Any, Any, Any] | None = None,
    ) -> None:  # fmt: skip
        """Stop one container and wait until it has ended; `turn` is waited for between hook and TERM.

        Raises RuntimeDriverError.
        """
        try:
            self._context.event(pod, "Normal", "Killing", message, container.name)
            await self._pre_stop(pod, container, deadline, ip)
            if turn is not None and deadline.remaining() > 0:
                await first(turn, deadline.passed())
        finally:
            if turn is not None:
                turn.close()
        await self._end(container.id, deadline)
        fail_point("agent.after_stop_container")

    async def _pre_stop(self, pod: Obj, container: ContainerStatus, deadline: Deadline, ip: str) -> None:
        spec = next((c for c in spec_containers(pod) if c["name"] == container.name), None)
        if spec is None or container.id in self._hooked or deadline.remaining() <= 0:
            return
        self._hooked.add(container.id)
        await first(pre_stop(self._context, pod, spec, container.id, ip), deadline.passed())

    async def _end(self, container_id: str, deadline: Deadline) -> None:
        """TERM, then KILL at the deadline; again when the deadline moves closer meanwhile."""
        while True:
            moved = deadline.moved()
            seconds = max(deadline.remaining(), MINIMUM_SECONDS) if deadline.granted > 0 else 0.0
            if 0 in await first(self._context.runtime.stop_container(container_id, seconds), moved):
                return

    async def stop_all(self, pod: Obj, running: Sequence[ContainerStatus], deadline: Deadline, *, ip: str) -> None:
        """Stop all, in the order that the pod's sidecars ask for. Raises RuntimeDriverError."""
        ended = {c.name: asyncio.Event() for c in running}
        after = stop_after(pod)

        async def turn(name: str) -> None:
            for other in after.get(name, set()) & ended.keys():
                await ended[other].wait()

        async def one(container: ContainerStatus) -> None:
            name = container.name
            try:
                message = f"Stopping container {name}"
                waits = turn(name) if name in after else None
                await self.stop(pod, container, deadline, ip=ip, message=message, turn=waits)
            finally:
                ended[name].set()

        await every(*(one(c) for c in running))
