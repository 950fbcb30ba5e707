"""Tells users why a pod waits: the PodScheduled condition and an event, once per change of message."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from windlass.apis.resources import PODS
from windlass.clock import Clock, rfc3339
from windlass.errors import NotFoundError, WindlassError
from windlass.logs import get_logger
from windlass.plugin.interfaces.scheduler import PodInfo

if TYPE_CHECKING:
    from windlass.client.client import Client

logger = get_logger(__name__)

UNSCHEDULABLE = "Unschedulable"
SCHEDULING_GATED = "SchedulingGated"
SCHEDULER_ERROR = "SchedulerError"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"


def current_condition(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the pod's PodScheduled condition, empty when it has none."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == "PodScheduled"), {})


def needs_report(pod: PodInfo, reason: str, message: str) -> bool:
    """Say whether the pod's condition says something else."""
    condition = current_condition(pod.obj)
    return (condition.get("status"), condition.get("reason"), condition.get("message")) != ("False", reason, message)


async def report_condition(
    client: "Client", clock: Clock, pod: PodInfo, *, reason: str, message: str, nominated_node_name: str = ""
) -> None:
    """Write PodScheduled=False. A pod that has gone is left alone; other failures are logged: the next try reports."""
    condition = current_condition(pod.obj)
    now = rfc3339(clock.now())
    since = condition.get("lastTransitionTime", now) if condition.get("status") == "False" else now
    written: dict[str, Any] = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }
    status: dict[str, Any] = {"conditions": [written]}
    if nominated_node_name:
        status["nominatedNodeName"] = nominated_node_name
    await _write(client, pod, status, reason)


async def report_preemption(client: "Client", clock: Clock, victim: PodInfo) -> None:
    """Write on a pod that it goes for a more important one, so that whoever counts failures can leave this one out."""
    scheduler = (victim.obj.get("spec") or {}).get("schedulerName") or "default-scheduler"
    written = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        "lastTransitionTime": rfc3339(clock.now()),
    }
    await _write(client, victim, {"conditions": [written]}, "PreemptionByScheduler")


async def _write(client: "Client", pod: PodInfo, status: dict[str, Any], reason: str) -> None:
    patch = {"metadata": {"uid": pod.uid}, "status": status}
    try:
        await client.patch(PODS, pod.name, patch, pod.namespace, patch_type=STRATEGIC_MERGE, subresource="status")
    except NotFoundError:
        logger.debug("pod has gone", pod=pod.key)
    except (WindlassError, OSError, TimeoutError) as error:
        logger.warning("condition was not written", pod=pod.key, reason=reason, problem=repr(error))
