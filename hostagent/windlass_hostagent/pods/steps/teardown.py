"""Step: end a pod's sandbox. Every part is safe to repeat, and safe when setup never happened."""

from windlass.plugin.interfaces.runtime import SandboxStatus
from windlass_hostagent.context import AgentContext
from windlass_hostagent.failpoints import fail_point
from windlass_hostagent.pods.steps.network import detach


async def stop_sandbox(context: AgentContext, sandbox: SandboxStatus) -> None:
    """Free the network and stop the sandbox, but keep its containers' records and logs."""
    await detach(context, sandbox)
    fail_point("agent.after_detach_network")
    await context.runtime.stop_pod_sandbox(sandbox.id)
    fail_point("agent.after_stop_sandbox")


async def remove_sandbox(context: AgentContext, sandbox: SandboxStatus) -> None:
    """Free the network and remove the sandbox with all its containers."""
    await stop_sandbox(context, sandbox)
    await context.runtime.remove_pod_sandbox(sandbox.id)
    fail_point("agent.after_remove_sandbox")
