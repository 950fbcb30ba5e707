"""Step: create and start one container. Safe to repeat: the same attempt gives the same container."""

import asyncio
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
from windlass_hostagent.pods.security import SecurityError, container_security, effective
from windlass_hostagent.pods.service_env import service_env
from windlass_hostagent.pods.steps.images import ensure_image
from windlass_hostagent.pods.steps.node_files import node_files
from windlass_hostagent.pods.steps.sandbox import pod_labels
from windlass_hostagent.pods.steps.termination_message import prepare_message_log
from windlass_hostagent.pods.steps.volumes import container_mounts

Obj = dict[str, Any]
CONFIG_ERROR = "CreateContainerConfigError"
SERVICES_SECONDS = 5.0


async def resolve_env(context: AgentContext, pod: Obj, container: Obj, ips: Sequence[str]) -> dict[str, str]:
    """Fetch what the environment refers to and build it. Raises RuntimeDriverError(CreateContainerConfigError)."""
    namespace = pod["metadata"]["namespace"]
    objects: dict[tuple[str, str], Obj | None] = {}
    try:
        for source in sources(container):
            objects[source.kind, source.name] = await context.fetch(source.kind, namespace, source.name)
        services = await service_variables(context, pod)
        facts = EnvContext(pod, objects, ips, context.host_ips, context.allocatable, services)
        return build_env(container, facts)
    except (EnvError, ApiError) as error:
        raise RuntimeDriverError(str(error), reason=CONFIG_ERROR) from error


async def service_variables(context: AgentContext, pod: Obj) -> dict[str, str]:
    """Return the Services' variables. Raises RuntimeDriverError while the Services are not known."""
    informer = context.services
    if informer is None:
        return {}
    try:
        async with asyncio.timeout(SERVICES_SECONDS):
            await informer.wait_synced()
    except TimeoutError:
        message = "services have not yet been read at least once, cannot construct envs"
        raise RuntimeDriverError(message, reason=CONFIG_ERROR) from None
    namespace = pod["metadata"]["namespace"]
    links = pod["spec"].get("enableServiceLinks") is not False
    return service_env(informer.list(), namespace, links=links)


async def image_user(context: AgentContext, pod: Obj, container: Obj) -> str:
    """Return the user that the image names, asked for only where it decides something."""
    context_of = effective(pod, container)
    strict = (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict"
    if not (strict or context_of.get("runAsNonRoot") or context_of.get("runAsGroup") is not None):
        return ""
    found = await context.images.status(container["image"])
    return found.user if found else ""


def container_config(
    context: AgentContext,
    pod: Obj,
    start: ContainerStart,
    env: dict[str, str],
    mounts: Sequence[Mount] = (),
    user: str = "",
) -> ContainerConfig:
    """Translate one container for the runtime; `user` is the image's. Pure. Raises RuntimeDriverError."""
    spec = start.spec
    try:
        security = container_security(pod, spec, user, context.options.security)
    except SecurityError as error:
        raise RuntimeDriverError(str(error), reason=CONFIG_ERROR) from error
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
        stdin_once=bool(spec.get("stdinOnce")),
        user=security.user,
        supplemental_groups=security.supplemental_groups,
        privileged=security.privileged,
        readonly_rootfs=security.readonly_rootfs,
        add_capabilities=security.add_capabilities,
        drop_capabilities=security.drop_capabilities,
        no_new_privileges=security.no_new_privileges,
        seccomp_profile=security.seccomp_profile,
        apparmor_profile=security.apparmor_profile,
        unmasked_proc=security.unmasked_proc,
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
            files = node_files(context, pod, start.spec, ips)
            user = await image_user(context, pod, start.spec)
            config = container_config(context, pod, start, env, [*files, *mounts, message_log], user)
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
