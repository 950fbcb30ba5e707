"""Step: create and start one container. Safe to repeat: the same attempt gives the same container."""

from collections.abc import Sequence
from typing import Any

from windlass.errors import ApiError, RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerConfig, Mount
from windlass_hostagent.context import AgentContext
from windlass_hostagent.failpoints import fail_point
from windlass_hostagent.pods.deadline import to_its_end
from windlass_hostagent.pods.env import EnvContext, EnvError, build_env, expand, sources
from windlass_hostagent.pods.observation import LABEL_CONTAINER, LABEL_HASH
from windlass_hostagent.pods.plan import ContainerStart, definition_hash
from windlass_hostagent.pods.resources import container_resources
from windlass_hostagent.pods.steps.images import ensure_image
from windlass_hostagent.pods.steps.sandbox import pod_labels
from windlass_hostagent.pods.steps.termination_message import prepare_message_log
from windlass_hostagent.pods.steps.volumes import container_mounts

Obj = dict[str, Any]
CONFIG_ERROR = "CreateContainerConfigError"


async def resolve_env(context: AgentContext, pod: Obj, container: Obj, ips: Sequence[str]) -> dict[str, str]:
    """Fetch what the environment refers to and build it. Raises RuntimeDriverError(CreateContainerConfigError)."""
    namespace = pod["metadata"]["namespace"]
    objects: dict[tuple[str, str], Obj | None] = {}
    try:
        for source in sources(container):
            objects[source.kind, source.name] = await context.fetch(source.kind, namespace, source.name)
        facts = EnvContext(pod, objects, ips, context.host_ips, context.allocatable)
        return build_env(container, facts)
    except (EnvError, ApiError) as error:
        raise RuntimeDriverError(str(error), reason=CONFIG_ERROR) from error


def user_of(pod: Obj, container: Obj) -> str:
    """Return `uid[:gid]` from the security contexts, the container's first. Pure."""
    merged = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    uid, gid = merged.get("runAsUser"), merged.get("runAsGroup")
    if uid is None and gid is None:
        return ""
    return f"{0 if uid is None else uid}" + (f":{gid}" if gid is not None else "")


def container_config(
    context: AgentContext, pod: Obj, start: ContainerStart, env: dict[str, str], mounts: Sequence[Mount] = ()
) -> ContainerConfig:
    """Translate one container for the runtime. Pure."""
    spec = start.spec
    security = spec.get("securityContext") or {}
    capabilities = security.get("capabilities") or {}
    command, args = spec.get("command"), spec.get("args")
    return ContainerConfig(
        name=spec["name"],
        attempt=start.attempt,
        image=spec["image"],
        command=[expand(word, env) for word in command] if command else None,
        args=[expand(word, env) for word in args] if args else None,
        working_dir=spec.get("workingDir") or "",
        env=env,
        labels={**pod_labels(pod, context.node_name), LABEL_CONTAINER: spec["name"], LABEL_HASH: definition_hash(spec)},
        mounts=tuple(mounts),
        resources=container_resources(pod, spec, context.capacity.memory_bytes),
        stdin=bool(spec.get("stdin")),
        tty=bool(spec.get("tty")),
        user=user_of(pod, spec),
        privileged=bool(security.get("privileged")),
        readonly_rootfs=bool(security.get("readOnlyRootFilesystem")),
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        annotations=dict(pod["metadata"].get("annotations") or {}),
        target_container_id=start.target_id,
    )


async def start_container(
    context: AgentContext, pod: Obj, start: ContainerStart, *, sandbox_id: str, ips: Sequence[str]
) -> str:
    """Bring one container to running and return its id.

    Raises RuntimeDriverError whose reason is what the user sees as waiting.
    """
    name = start.spec["name"]
    container_id = start.existing_id
    if not container_id:
        await ensure_image(context, pod, start.spec)
        fail_point("agent.after_pull_image")
        try:
            env = await resolve_env(context, pod, start.spec, ips)
            mounts = await container_mounts(context, pod, start.spec, env)
            message_log = prepare_message_log(context, pod, start.spec, start.attempt)
            config = container_config(context, pod, start, env, [*mounts, message_log])
            container_id = await to_its_end(context.runtime.create_container(sandbox_id, config))
        except (RuntimeDriverError, OSError) as error:
            context.event(pod, "Warning", "Failed", f"Error: {error}", name)
            raise _as(error, "CreateContainerError") from error
        fail_point("agent.after_create_container")
        context.event(pod, "Normal", "Created", f"Created container: {name}", name)
    try:
        await context.runtime.start_container(container_id)
    except RuntimeDriverError as error:
        context.event(pod, "Warning", "Failed", f"Error: {error}", name)
        raise _as(error, "RunContainerError") from error
    fail_point("agent.after_start_container")
    context.event(pod, "Normal", "Started", f"Started container {name}", name)
    return container_id


def _as(error: RuntimeDriverError | OSError, reason: str) -> RuntimeDriverError:
    """Give a nameless error the reason of the step in which it happened."""
    if isinstance(error, RuntimeDriverError) and error.reason != "RuntimeError":
        reason = error.reason
    return RuntimeDriverError(str(error), reason=reason)
