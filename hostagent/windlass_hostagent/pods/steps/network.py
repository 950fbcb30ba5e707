"""Step: attach the sandbox to the pod network, and detach it. Both are safe to repeat."""

from collections.abc import Sequence
from typing import Any

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.runtime import SandboxStatus
from windlass_hostagent.context import AgentContext

Obj = dict[str, Any]


async def attach(context: AgentContext, pod: Obj, sandbox: SandboxStatus) -> Sequence[str]:
    """Return the pod's addresses, attaching the sandbox where that is needed. Raises NetworkDriverError."""
    if pod["spec"].get("hostNetwork"):
        return tuple(context.host_ips)
    if sandbox.ips:
        return tuple(sandbox.ips)
    if not sandbox.netns_path or context.network is None:
        return tuple(context.host_ips)
    try:
        attachment = await context.network.add(sandbox.id, sandbox.netns_path)
    except NetworkDriverError as error:
        context.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to set up pod network: {error}")
        raise
    return tuple(attachment.ips)


async def detach(context: AgentContext, sandbox: SandboxStatus) -> None:
    """Free the sandbox's addresses, whether it was attached or not."""
    if context.network is not None and not sandbox.ips:
        await context.network.delete(sandbox.id, sandbox.netns_path)
