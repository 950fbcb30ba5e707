"""The manager: one leader that runs every controller and the scheduler, and stand-bys that wait.

Each term of leadership is built from nothing: informers, controllers and scheduler live exactly as long as the Lease is
held, so that nothing of an earlier term writes in a later one. All writes carry the term's fence.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.client.client import Client
from windlass.client.election import ElectionTiming, LeaderElector
from windlass.client.informer import InformerFactory
from windlass.client.recorder import EventRecorder
from windlass.clock import Clock
from windlass.controlplane.supervision import Supervisor
from windlass.errors import WindlassError
from windlass.logs import get_logger
from windlass.plugin.interfaces.controller import ControllerContext, ControllerRegistration
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration
from windlass.scheduler.loop import Scheduler

LEASE_NAMESPACE, LEASE_NAME = "kube-system", "windlass-manager"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """What to run. `controllers` None runs all; configuration sections are by controller name; `root_ca` is PEM."""

    identity: str
    controllers: Sequence[str] | None = None
    run_scheduler: bool = True
    controller_config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scheduler_config: Mapping[str, Any] = field(default_factory=dict)
    timing: ElectionTiming = field(default_factory=ElectionTiming)
    root_ca: str = ""


class Manager:
    """Waits for the Lease and leads, again and again, until cancelled."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        config: ManagerConfig,
        *,
        controllers: Sequence[ControllerRegistration],
        scheduler_plugins: Sequence[SchedulerPluginRegistration],
    ) -> None:
        self._client = client
        self._clock = clock
        self._config = config
        self._controllers = [
            found for found in controllers if config.controllers is None or found.name in config.controllers
        ]
        self._scheduler_plugins = scheduler_plugins
        self._informers: InformerFactory | None = None
        self.supervisor = Supervisor(clock)
        self.elector = LeaderElector(
            client, LEASE_NAMESPACE, LEASE_NAME, config.identity, clock, timing=config.timing
        )

    async def run(self) -> None:
        """Lead whenever the Lease can be had, until cancelled."""
        while True:
            await self.elector.run(self._lead)

    async def _lead(self, client: Client) -> None:
        """One term: everything that acts, built anew on a fenced client."""
        informers = self._informers = InformerFactory(client, self._clock)
        recorder = EventRecorder(client, "windlass-manager", self._clock)
        loops = {
            found.name: _Loop(found, self._context(client, informers, found.name)).run for found in self._controllers
        }
        if self._config.run_scheduler:
            loops["scheduler"] = lambda: self._schedule(client, informers)
        self.supervisor = Supervisor(self._clock)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="informers")
                group.create_task(recorder.run(), name="events")
                group.create_task(self.supervisor.run(loops), name="loops")
        finally:
            self._informers = None

    def _context(
        self, client: Client, informers: InformerFactory, name: str
    ) -> tuple[ControllerContext, EventRecorder]:
        recorder = EventRecorder(client, f"{name}-controller", self._clock)
        section = self._config.controller_config.get(name, {})
        context = ControllerContext(client, informers, recorder, self._clock, section, self._config.root_ca)
        return context, recorder

    async def _schedule(self, client: Client, informers: InformerFactory) -> None:
        recorder = EventRecorder(client, "default-scheduler", self._clock)
        scheduler = Scheduler(
            client, informers, recorder, clock=self._clock, registrations=self._scheduler_plugins,
            config=self._config.scheduler_config,
        )
        await _with_recorder(recorder, scheduler.run())

    # -- what the probes ask

    async def why_not_ready(self) -> str:
        """Return why this process could not do its work; '' when it leads or could take over."""
        try:
            await self._client.raw("GET", "/readyz")
        except (WindlassError, OSError, TimeoutError) as error:
            return str(error)
        return ""

    def why_not_synced(self) -> str:
        """Return which informers of the leader have not listed yet."""
        if self._informers is None:
            return ""
        waiting = [name for name, numbers in self._informers.statistics().items() if not numbers["lists"]]
        return f"not listed yet: {', '.join(waiting)}" if waiting else ""

    def statistics(self) -> dict[str, Any]:
        """Return who leads here, every loop's state and every informer's numbers."""
        return {
            "leader": self.elector.is_leader,
            "loops": self.supervisor.statistics(),
            "informers": self._informers.statistics() if self._informers is not None else {},
        }


class _Loop:
    """Builds and runs one controller; built anew at every restart, so that no broken state survives."""

    def __init__(
        self, registration: ControllerRegistration, parts: tuple[ControllerContext, EventRecorder]
    ) -> None:
        self._registration = registration
        self._context, self._recorder = parts

    async def run(self) -> None:
        controller = self._registration.build(self._context)
        await _with_recorder(self._recorder, controller.run())


async def _with_recorder(recorder: EventRecorder, work: Any) -> None:
    """Write a loop's events while it runs; what it raises comes out as it is."""
    events = asyncio.get_running_loop().create_task(recorder.run())
    try:
        await work
    finally:
        events.cancel()
        await asyncio.wait({events})
