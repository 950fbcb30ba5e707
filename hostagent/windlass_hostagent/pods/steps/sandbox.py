"""Step: the pod's sandbox. Safe to repeat: the same attempt gives the same sandbox."""

from typing import Any

from windlass.errors import ApiError, RuntimeDriverError
from windlass.plugin.interfaces.runtime import SandboxConfig
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.hostname import HostnameError, kernel_name
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE, LABEL_NODE, LABEL_UID
from windlass_hostagent.pods.options import PodOptions
from windlass_hostagent.pods.resources import cgroup_parent, pod_resources
from windlass_hostagent.pods.steps.node_files import SIMULATED, resolver
from windlass_hostagent.pods.sysctls import sysctls_of

Obj = dict[str, Any]


def pod_labels(pod: Obj, node_name: str) -> dict[str, str]:
    """Return the labels that find a pod's runtime objects again."""
    meta = pod["metadata"]
    return {
        LABEL_NAME: meta["name"],
        LABEL_NAMESPACE: meta["namespace"],
        LABEL_UID: meta["uid"],
        LABEL_NODE: node_name,
    }


def sandbox_config(
    pod: Obj, attempt: int, node_name: str, options: PodOptions | None = None, runtime_handler: str = ""
) -> SandboxConfig:
    """Translate a pod into the sandbox that it needs. Pure. Raises HostnameError."""
    options = options or PodOptions()
    meta = pod["metadata"]
    spec = pod["spec"]
    return SandboxConfig(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        attempt=attempt,
        hostname=kernel_name(pod, options.dns.domain),
        labels=pod_labels(pod, node_name),
        host_network=bool(spec.get("hostNetwork")),
        annotations=dict(meta.get("annotations") or {}),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        share_process_namespace=bool(spec.get("shareProcessNamespace")),
        sysctls=sysctls_of(pod),
        runtime_handler=runtime_handler,
        cgroup_parent=cgroup_parent(pod, options.cgroup_root),
        resources=pod_resources(pod, options.max_pids),
    )


async def runtime_handler_of(context: AgentContext, pod: Obj) -> str:
    """Return the handler of the pod's RuntimeClass, empty for the runtime's own way. Raises RuntimeDriverError."""
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return ""
    try:
        found = await context.fetch("RuntimeClass", "", name)
    except ApiError as error:
        message = f"failed to get sandbox runtime: {error}"
        raise RuntimeDriverError(message, reason="CreatePodSandboxError") from error
    if found is None:
        message = f'failed to get sandbox runtime: RuntimeClass.node.k8s.io "{name}" not found'
        raise RuntimeDriverError(message, reason="CreatePodSandboxError")
    return str(found["handler"])


async def _config(context: AgentContext, pod: Obj, attempt: int) -> SandboxConfig:
    """Find out what the sandbox depends on. Raises RuntimeDriverError."""
    if pod["spec"].get("hostUsers") is False:
        message = f"the runtime {context.runtime_name} does not support user namespaces"
        raise RuntimeDriverError(message, reason="CreatePodSandboxError")
    handler = await runtime_handler_of(context, pod)
    try:
        return sandbox_config(pod, attempt, context.node_name, context.options, handler)
    except HostnameError as error:
        raise RuntimeDriverError(str(error), reason="CreatePodSandboxError") from error


async def run_sandbox(context: AgentContext, pod: Obj, attempt: int) -> str:
    """Create and start the sandbox. Raises RuntimeDriverError after recording why."""
    try:
        sandbox_id = await context.runtime.run_pod_sandbox(await _config(context, pod, attempt))
    except RuntimeDriverError as error:
        context.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        raise
    context.on_sandbox(sandbox_id, pod["metadata"]["uid"])
    for warned in resolver(context, pod)[1] if context.runtime_name != SIMULATED else ():
        context.event(pod, "Warning", warned.reason, warned.message)
    return sandbox_id
