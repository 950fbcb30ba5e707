"""Step: end a pod. Every part is safe to repeat, and safe when setup never happened."""

import asyncio
from collections.abc import Sequence
from typing import Any

from windlass.clock import Clock, parse_rfc3339
from windlass.plugin.interfaces.runtime import ContainerStatus, SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.steps.network import detach

Obj = dict[str, Any]
DEFAULT_GRACE_SECONDS = 30.0


def remaining_grace(pod: Obj, clock: Clock) -> float:
    """Return how long the containers may still take: never more than the grace period, never negative."""
    meta, spec = pod["metadata"], pod["spec"]
    granted = meta.get("deletionGracePeriodSeconds")
    if granted is None:
        granted = spec.get("terminationGracePeriodSeconds")
    grace = DEFAULT_GRACE_SECONDS if granted is None else float(granted)
    if meta.get("deletionTimestamp"):
        until = parse_rfc3339(meta["deletionTimestamp"])
        grace = min(grace, (until - clock.now()).total_seconds())
    return max(0.0, grace)


async def stop_containers(
    context: AgentContext, pod: Obj, running: Sequence[ContainerStatus], grace_seconds: float
) -> None:
    """Stop all at once and wait until all have ended."""
    async with asyncio.TaskGroup() as group:
        for container in running:
            context.event(pod, "Normal", "Killing", f"Stopping container {container.name}", container.name)
            group.create_task(context.runtime.stop_container(container.id, grace_seconds))


async def stop_sandbox(context: AgentContext, sandbox: SandboxStatus) -> None:
    """Free the network and stop the sandbox, but keep its containers' records and logs."""
    await detach(context, sandbox)
    await context.runtime.stop_pod_sandbox(sandbox.id)


async def remove_sandbox(context: AgentContext, sandbox: SandboxStatus) -> None:
    """Free the network and remove the sandbox with all its containers."""
    await detach(context, sandbox)
    await context.runtime.stop_pod_sandbox(sandbox.id)
    await context.runtime.remove_pod_sandbox(sandbox.id)
