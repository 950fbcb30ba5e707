"""Composition root of `windlass manager`: configuration, plugins, client, probes, signals."""

import asyncio
import os
import signal
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from windlass.client.client import Client
from windlass.client.election import ElectionTiming
from windlass.client.kubeconfig import cluster_authority, load_kubeconfig
from windlass.clock import Clock, SystemClock
from windlass.config import load_config
from windlass.controlplane.manager import Manager, ManagerConfig
from windlass.controlplane.probes import Check, serve_probes
from windlass.errors import ConfigError
from windlass.logs import get_logger
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration
from windlass.plugin.manager import Owned, PluginManager
from windlass.plugin.watchdog import watched_loop

DEFAULT_PORT = 10257
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """What the command line says. `controllers` None runs all."""

    kubeconfig: Path
    config: Path | None = None
    address: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    controllers: Sequence[str] | None = None
    run_scheduler: bool = True
    timing: ElectionTiming = field(default_factory=ElectionTiming)


def load_registrations(
    plugins: PluginManager,
) -> tuple[list[Owned], list[SchedulerPluginRegistration]]:
    """Return the controllers, by owner, and the scheduler plugins. Raises PluginError for names claimed twice."""
    controllers = list(plugins.drivers("register_controllers").values())
    scheduler_plugins = [owned.value for owned in plugins.drivers("register_scheduler_plugins").values()]
    return controllers, scheduler_plugins


def build_manager(
    options: ManagerOptions, client: Client, plugins: PluginManager, clock: Clock | None = None
) -> Manager:
    """Build the manager from its options and loaded plugins. Raises ConfigError or PluginError."""
    controllers, scheduler_plugins = load_registrations(plugins)
    plugins.check()
    known = {owned.value.name for owned in controllers}
    unknown = sorted(set(options.controllers or ()) - known)
    if unknown:
        raise ConfigError(f"no such controller: {unknown[0]}; known: {', '.join(sorted(known))}")
    identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    sections = {name: dict(section) for name, section in plugins.config.config.items()}
    return Manager(
        client,
        clock or SystemClock(),
        ManagerConfig(
            identity, options.controllers, options.run_scheduler,
            controller_config={owned.value.name: sections.get(owned.owner, {}) for owned in controllers},
            scheduler_config=sections.get("windlass-scheduler", {}),
            timing=options.timing,
            root_ca=cluster_authority(options.kubeconfig),
        ),
        controllers=[owned.value for owned in controllers],
        scheduler_plugins=scheduler_plugins,
    )


async def run_until_signal(options: ManagerOptions) -> None:
    """Run the manager until TERM or INT; the Lease is given back on the way out."""
    client = Client(load_kubeconfig(options.kubeconfig), user_agent="windlass-manager")
    plugins = PluginManager(load_config(options.config).plugins)
    plugins.load()
    manager = build_manager(options, client, plugins)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready: dict[str, Check] = {"apiserver": manager.why_not_ready, "informers": manager.why_not_synced}
    try:
        async with serve_probes(options.address, options.port, live={"ping": lambda: ""}, ready=ready) as port:
            log.info("manager_started", port=port)
            on_stall = partial(plugins.note_failure, hangs=True)
            with watched_loop(plugins.owner_of, on_stall):
                await _until_stopped(manager, stop)
    except OSError as error:
        raise ConfigError(f"cannot listen on {options.address}:{options.port}: {error.strerror}") from error
    finally:
        await client.close()
        log.info("manager_stopped")


async def _until_stopped(manager: Manager, stop: asyncio.Event) -> None:
    """Run until asked to stop; raise what the manager raises."""
    loop = asyncio.get_running_loop()
    tasks = {loop.create_task(manager.run()), loop.create_task(_wait(stop))}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


def run_manager(options: ManagerOptions) -> None:
    """Run the manager in this process until a signal. Raises ConfigError when it cannot start."""
    # Most of what the manager does is HTTPS, which uvloop does in half the time.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_until_signal(options))
