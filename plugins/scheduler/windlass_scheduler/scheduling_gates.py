"""Holds pods back while they have scheduling gates."""

from windlass.plugin.interfaces.scheduler import SUCCESS, Code, PluginStatus, PodInfo

MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"


class SchedulingGates:
    """Pre-enqueue: `spec.schedulingGates` must be empty."""

    def pre_enqueue(self, pod: PodInfo) -> PluginStatus:
        """See `PreEnqueuePlugin`."""
        gated = (pod.obj.get("spec") or {}).get("schedulingGates")
        return PluginStatus(Code.UNSCHEDULABLE, MESSAGE) if gated else SUCCESS
