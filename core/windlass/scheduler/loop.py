"""The scheduler's loop (being filled in)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from windlass.clock import Clock
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.client.informer import InformerFactory
    from windlass.client.recorder import EventRecorder


class Scheduler:
    """Chooses a node for every pending pod and binds it."""

    def __init__(
        self,
        client: "Client",
        informers: "InformerFactory",
        recorder: "EventRecorder",
        *,
        clock: Clock,
        registrations: Sequence[SchedulerPluginRegistration],
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._client, self._informers, self._recorder, self._clock = client, informers, recorder, clock
        self._registrations, self._config = registrations, dict(config or {})

    async def run(self) -> None:
        """Schedule until cancelled."""
        raise NotImplementedError
