"""The Node's status: conditions from what was measured (pure), and the loop that reports them when they change."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.apis.resources import NODES
from windlass.clock import Clock, rfc3339
from windlass.errors import ApiError
from windlass.logs import get_logger
from windlass_hostagent.context import AgentContext

Obj = dict[str, Any]
CHECK_SECONDS = 10.0
REPORT_SECONDS = 300.0
RECHECK_SECONDS = 20.0
"""Whoever took the node for lost has written so into its conditions: that is looked for this often."""
log = get_logger(__name__)

_CALM = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What was measured. `problems` keep the node from being Ready."""

    pressure: Mapping[str, bool]
    problems: Sequence[str] = ()


def build_conditions(health: NodeHealth, existing: Sequence[Obj], now: str) -> list[Obj]:
    """Build the conditions, keeping transition times and everybody else's conditions."""
    before = {c["type"]: c for c in existing}
    made = []
    for kind, pressed in health.pressure.items():
        reason, message = (_PRESSED if pressed else _CALM)[kind]
        made.append((kind, pressed, reason, message))
    if health.problems:
        made.append(("Ready", False, "KubeletNotReady", ", ".join(health.problems)))
    else:
        made.append(("Ready", True, "KubeletReady", "kubelet is posting ready status"))
    built = []
    for kind, true, reason, message in made:
        status = "True" if true else "False"
        old = before.get(kind, {})
        changed = old.get("lastTransitionTime") if old.get("status") == status else None
        built.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": changed or now,
            }
        )
    ours = {c["type"] for c in built}
    return built + [c for c in existing if c["type"] not in ours]


def without_heartbeat(conditions: Sequence[Obj]) -> list[Obj]:
    """Return conditions without the one field that always changes."""
    return [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in conditions]


def static_status(context: AgentContext, port: int, node_info: Mapping[str, Any]) -> Obj:
    """Build the part of the status that does not change while the agent runs."""
    addresses = [{"type": "InternalIP", "address": ip} for ip in context.host_ips]
    return {
        "capacity": context.capacity.resources(),
        "allocatable": dict(context.allocatable),
        "addresses": [*addresses, {"type": "Hostname", "address": context.node_name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": dict(node_info),
    }


class NodeStatusReporter:
    """Measures every 10 s; writes when something changed here or in the Node, else every 5 min."""

    def __init__(self, context: AgentContext, static: Obj, measure: Callable[[], Awaitable[NodeHealth]]) -> None:
        self._context = context
        self._static = static
        self._measure = measure
        self._reported: Obj = {}
        self._reported_at = float("-inf")
        self._checked_at = float("-inf")

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            try:
                await self.report()
            except (ApiError, OSError) as error:
                log.warning("node_status_not_reported", error=str(error))
            await self._context.clock.sleep(CHECK_SECONDS)

    async def report(self) -> None:
        """Measure once, and write if it is time. Raises ApiError."""
        clock: Clock = self._context.clock
        health = await self._measure()
        existing = self._reported.get("conditions") or ()
        conditions = build_conditions(health, existing, rfc3339(clock.now()))
        unchanged = without_heartbeat(conditions) == without_heartbeat(existing)
        due = clock.monotonic() - self._reported_at >= REPORT_SECONDS
        if unchanged and not due and clock.monotonic() - self._checked_at < RECHECK_SECONDS:
            return
        node = await self._context.client.get(NODES, self._context.node_name)
        self._checked_at = clock.monotonic()
        known = node.get("status", {}).get("conditions") or ()
        conditions = build_conditions(health, known, rfc3339(clock.now()))
        if unchanged and not due and without_heartbeat(conditions) == without_heartbeat(known):
            return
        body = {"status": {**self._static, "conditions": conditions}}
        written = await self._context.client.patch(NODES, self._context.node_name, body, subresource="status")
        self._context.node = written
        self._reported = dict(written.get("status") or {})
        self._reported_at = clock.monotonic()
