"""Step: the pod's sandbox. Safe to repeat: the same attempt gives the same sandbox."""

from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import SandboxConfig
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE, LABEL_NODE, LABEL_UID

Obj = dict[str, Any]
HOSTNAME_LENGTH = 63


def pod_labels(pod: Obj, node_name: str) -> dict[str, str]:
    """Return the labels that find a pod's runtime objects again."""
    meta = pod["metadata"]
    return {
        LABEL_NAME: meta["name"],
        LABEL_NAMESPACE: meta["namespace"],
        LABEL_UID: meta["uid"],
        LABEL_NODE: node_name,
    }


def sandbox_config(pod: Obj, attempt: int, node_name: str) -> SandboxConfig:
    """Translate a pod into the sandbox that it needs. Pure."""
    meta = pod["metadata"]
    spec = pod["spec"]
    return SandboxConfig(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        attempt=attempt,
        hostname=str(spec.get("hostname") or meta["name"])[:HOSTNAME_LENGTH].rstrip("-."),
        labels=pod_labels(pod, node_name),
        host_network=bool(spec.get("hostNetwork")),
        annotations=dict(meta.get("annotations") or {}),
    )


async def run_sandbox(context: AgentContext, pod: Obj, attempt: int) -> str:
    """Create and start the sandbox. Raises RuntimeDriverError after recording why."""
    try:
        sandbox_id = await context.runtime.run_pod_sandbox(sandbox_config(pod, attempt, context.node_name))
    except RuntimeDriverError as error:
        context.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        raise
    context.on_sandbox(sandbox_id, pod["metadata"]["uid"])
    return sandbox_id
