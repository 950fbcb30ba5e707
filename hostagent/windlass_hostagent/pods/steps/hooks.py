"""Step: lifecycle hooks, postStart and preStop: exec, httpGet, sleep (tcpSocket exists in the API and does nothing)."""

import asyncio
import shlex
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ExecTimeoutError
from windlass_hostagent.context import AgentContext
from windlass_hostagent.failpoints import fail_point
from windlass_hostagent.pods.probes.http import get, http_target
from windlass_hostagent.pods.probes.spec import ProbeError

Obj = dict[str, Any]
EXEC_SECONDS = 24 * 3600.0
HTTP_SECONDS = 60.0
log = get_logger(__name__)


class HookError(Exception):
    """A hook failed; the message may hold the pod's own output, so it goes to the log and not into an event."""


async def run_hook(context: AgentContext, hook: Obj, container: Obj, container_id: str, ip: str) -> None:
    """Run one hook to its end; the caller bounds it by cancelling. Raises HookError."""
    if hook.get("exec"):
        command = hook["exec"].get("command") or ()
        try:
            done = await context.runtime.exec_sync(container_id, command, timeout_seconds=EXEC_SECONDS)
        except (RuntimeDriverError, ExecTimeoutError) as error:
            raise HookError(str(error)) from error
        if done.exit_code != 0:
            raise HookError(f"{shlex.join(command)[:200]} exited with {done.exit_code}: {done.output[:256]!r}")
    elif hook.get("httpGet"):
        try:
            async with asyncio.timeout(HTTP_SECONDS):
                await get(http_target(hook["httpGet"], container, ip))
        except (ProbeError, OSError, TimeoutError) as error:
            raise HookError(str(error) or type(error).__name__) from error
    elif hook.get("sleep"):
        await context.clock.sleep(float(hook["sleep"].get("seconds") or 0))


def _hook_of(container: Obj, name: str) -> Obj | None:
    found: Obj | None = (container.get("lifecycle") or {}).get(name)
    return found


async def post_start(context: AgentContext, pod: Obj, container: Obj, container_id: str, ip: str) -> bool:
    """Run postStart, if there is one; return False when it failed and the container has to go."""
    hook = _hook_of(container, "postStart")
    if hook is None:
        return True
    try:
        await run_hook(context, hook, container, container_id, ip)
    except HookError as error:
        log.info("post_start_hook_failed", container=container_id, error=str(error))
        context.event(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container["name"])
        return False
    fail_point("agent.after_post_start")
    return True


async def pre_stop(context: AgentContext, pod: Obj, container: Obj, container_id: str, ip: str) -> None:
    """Run preStop, if there is one; a failure is told and changes nothing."""
    hook = _hook_of(container, "preStop")
    if hook is None:
        return
    try:
        await run_hook(context, hook, container, container_id, ip)
    except HookError as error:
        log.info("pre_stop_hook_failed", container=container_id, error=str(error))
        context.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container["name"])
    fail_point("agent.after_pre_stop")
