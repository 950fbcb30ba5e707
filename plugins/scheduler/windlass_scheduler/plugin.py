"""Registers the built-in scheduler plugins, in the order in which filters run and name reasons."""

from collections.abc import Sequence

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration

windlass_hookspec_versions = (1,)


@hookimpl
def register_scheduler_plugins() -> Sequence[SchedulerPluginRegistration]:
    """Hand out kube-scheduler's default plugins that Windlass has, with its weights."""
    # NumPy comes with these modules, so they are imported only in the process that schedules.
    from windlass_scheduler import registrations  # noqa: PLC0415

    return registrations.REGISTRATIONS
