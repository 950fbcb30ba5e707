"""A node that only pretends, for tests: the whole agent over a hollow runtime, with resources as told.

Found through the entry point `hollow-node` of the group `windlass.testing`, for the core imports no agent.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass.apimachinery.quantity import parse_quantity
from windlass.clock import Clock
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass_hostagent.agent import HostAgent, NodeSettings
from windlass_hostagent.context import NodeCapacity
from windlass_hostagent.node.care import CareSettings

HOST = "127.0.0.1"
STORAGE = "100Gi"
PODS = "1000"


def build_hollow_node(  # noqa: PLR0913 - what tells one node from another, by keyword
    name: str,
    *,
    client: Any,
    runtime: RuntimeDriver,
    clock: Clock,
    directory: Path,
    tls: tuple[Path, Path, Path],
    resources: Mapping[str, str],
    labels: dict[str, str],
) -> HostAgent:
    """Build the agent. It evicts nothing: how full the machine's disk is says nothing about a pretended node."""
    directory.mkdir(parents=True, exist_ok=True)
    memory = resources["memory"]
    settings = NodeSettings(
        node_name=name,
        node_ip=HOST,
        data_dir=directory,
        port=0,
        labels=labels,
        tls=tls,
        care=CareSettings(thresholds=()),
        capacity=NodeCapacity(resources["cpu"], memory, STORAGE, PODS, int(parse_quantity(memory))),
    )
    return HostAgent(settings, client=client, runtime=runtime, runtime_name="hollow", network=None, clock=clock)
