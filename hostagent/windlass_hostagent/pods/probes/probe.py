"""One try of one probe, whatever its sort."""

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ExecTimeoutError, RuntimeDriver
from windlass_hostagent.pods.probes.dial import probe_tcp
from windlass_hostagent.pods.probes.http import http_target, probe_http
from windlass_hostagent.pods.probes.results import Outcome, Result
from windlass_hostagent.pods.probes.spec import ProbeError, ProbeSpec, resolve_port

MAX_OUTPUT_BYTES = 10 * 1024
RUNTIME_SLACK_SECONDS = 10.0
"""How much longer than its timeout a command may keep the runtime busy before we stop waiting for the runtime."""


async def probe_exec(
    runtime: RuntimeDriver, container_id: str, command: Sequence[str], timeout_seconds: float
) -> Outcome:
    """Run a command in the container once. A runtime that fails leaves the outcome unknown."""
    try:
        async with asyncio.timeout(timeout_seconds + RUNTIME_SLACK_SECONDS):
            done = await runtime.exec_sync(
                container_id, command, timeout_seconds=timeout_seconds, max_output_bytes=MAX_OUTPUT_BYTES
            )
    except ExecTimeoutError:
        line = shlex.join(command)[:200]
        return Outcome(Result.FAILURE, f'command timed out: "{line}" timed out after {timeout_seconds:g}s')
    except TimeoutError:
        return Outcome(Result.UNKNOWN, "the container runtime does not answer")
    except RuntimeDriverError as error:
        return Outcome(Result.UNKNOWN, str(error))
    text = done.output[:MAX_OUTPUT_BYTES].decode(errors="replace")
    return Outcome(Result.SUCCESS if done.exit_code == 0 else Result.FAILURE, text)


async def probe_once(
    runtime: RuntimeDriver, spec: ProbeSpec, container: Mapping[str, Any], container_id: str, ip: str
) -> Outcome:
    """Try a probe; never raises for what the pod does."""
    handler = spec.handler
    try:
        if handler.get("exec"):
            command = handler["exec"].get("command") or ()
            return await probe_exec(runtime, container_id, command, spec.timeout_seconds)
        if not ip:
            return Outcome(Result.UNKNOWN, "the pod has no address")
        if handler.get("httpGet"):
            return await probe_http(http_target(handler["httpGet"], container, ip), spec.timeout_seconds)
        if handler.get("tcpSocket"):
            action = handler["tcpSocket"]
            port = resolve_port(container, action.get("port"))
            return await probe_tcp(action.get("host") or ip, port, spec.timeout_seconds)
        if handler.get("grpc"):
            # Imported late: HTTP/2 costs memory, and few pods use it.
            from windlass_hostagent.pods.probes.grpc import probe_grpc  # noqa: PLC0415

            action = handler["grpc"]
            port = resolve_port(container, action.get("port"))
            return await probe_grpc(ip, port, action.get("service") or "", spec.timeout_seconds)
    except ProbeError as error:
        return Outcome(Result.UNKNOWN, str(error))
    return Outcome(Result.UNKNOWN, "missing probe handler")
