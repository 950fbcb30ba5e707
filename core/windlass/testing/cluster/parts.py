"""The cluster's parts in one event loop: API server, manager, host agents. All from plugins, as in real life."""

import asyncio
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from socket import socket
from types import ModuleType
from typing import Any

from windlass.api.composition import compose
from windlass.api.server import ServerOptions
from windlass.apis.resources import NODES
from windlass.client.client import Client
from windlass.client.transport import InProcessTransport
from windlass.clock import Clock, SystemClock
from windlass.config import PluginsConfig
from windlass.controlplane.main import ManagerOptions, build_manager
from windlass.controlplane.manager import Manager
from windlass.errors import PluginError
from windlass.plugin.manager import GROUP, OWN_DISTRIBUTION, PluginManager
from windlass.testing.clock import FakeClock
from windlass.testing.cluster.faults import ApiFaults, FaultyApp
from windlass.testing.cluster.identities import HOST, Identities
from windlass.testing.cluster.options import ClusterOptions
from windlass.testing.cluster.serving import served

NODE_GROUP = "windlass.testing"
"""Entry points of what the kit cannot import: `hollow-node` builds an agent. The core never imports the agent."""
DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.002


def chosen_plugins(wanted: Sequence[str | ModuleType]) -> list[metadata.EntryPoint]:
    """Return Windlass' own entry points and the wanted ones. Raises PluginError for one that is not installed.

    Whatever else is installed stays out: a test must not depend on it.
    """
    installed = metadata.entry_points(group=GROUP)
    chosen = [found for found in installed if found.dist is not None and found.dist.name == OWN_DISTRIBUTION]
    for one in wanted:
        if isinstance(one, ModuleType):
            name = one.__name__.removesuffix(".plugin").replace("_", "-").replace(".", "-")
            chosen.append(metadata.EntryPoint(name, one.__name__, GROUP))
            continue
        found = [entry_point for entry_point in installed if entry_point.name == one]
        if not found:
            raise PluginError(f"no plugin named {one!r} is installed; give a module, or pip install its distribution")
        chosen += found
    return chosen


class ClusterParts:
    """Everything that runs. Made and used in the cluster's own thread only."""

    def __init__(self, directory: Path, options: ClusterOptions, faults: ApiFaults, listener: socket) -> None:
        self._options = options
        self._faults = faults
        self._identities = Identities(directory)
        self._listener = listener
        self.port = int(listener.getsockname()[1])
        self._identities.issue(self.port)
        self.clock: Clock = FakeClock() if options.virtual_clock else SystemClock()
        self.plugins = PluginManager(
            PluginsConfig(deadline_seconds=DEADLINE_SECONDS, config=options.config), probes_imports=False
        )
        self.plugins.load(chosen_plugins(options.plugins))
        self.plugins.check()
        self._app = compose(ServerOptions(directory, "memory://", f"{HOST}:{self.port}"), self.plugins, self.clock)
        self.client = self._client_of("admin", "system:masters")
        self.runtimes: dict[str, Any] = {}

    def _client_of(self, user: str, group: str) -> Client:
        return Client(InProcessTransport(self._app, user=user, groups=(group,)))

    def _manager(self) -> Manager:
        options = ManagerOptions(
            self._identities.kubeconfig,
            controllers=self._options.controllers,
            run_scheduler=self._options.scheduler,
        )
        client = self._client_of("system:kube-controller-manager", "system:masters")
        return build_manager(options, client, self.plugins, self.clock)

    def _agent(self, name: str) -> Any:
        (entry_point,) = metadata.entry_points(group=NODE_GROUP, name="hollow-node")
        build: Callable[..., Any] = entry_point.load()
        self.runtimes[name] = self.plugins.driver(
            "register_runtimes", "hollow", {"node_name": name, "clock": self.clock}
        )
        return build(
            name,
            client=self._client_of(f"system:node:{name}", "system:nodes"),
            runtime=self.runtimes[name],
            clock=self.clock,
            directory=self._identities.directory / name,
            tls=self._identities.agent_tls,
            resources={"cpu": self._options.cpu, "memory": self._options.memory},
            labels=dict(self._options.labels.get(name, {})),
        )

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run from the first request to the last, until told to stop. Raises what a part raises."""
        app = FaultyApp(self._app, self._faults)
        async with served(app, self._listener, self._identities.pki), asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._manager().run())]
            tasks += [group.create_task(self._agent(name).run()) for name in self._options.node_names]
            await self._wait_nodes()
            ready()
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _wait_nodes(self) -> None:
        """Wait until every node is Ready and free of the taint that keeps pods away meanwhile."""
        missing = set(self._options.node_names)
        while missing:
            nodes = (await self.client.list(NODES))["items"]
            missing -= {node["metadata"]["name"] for node in nodes if _is_ready(node)}
            if missing:
                await asyncio.sleep(POLL_SECONDS)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not node["spec"].get("taints")
