"""What an in-process cluster is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What to run. The defaults are a whole cluster with one node, on the machine's clock.

    `nodes`: hollow nodes `node1`, `node2`, ... of `cpu` and `memory` each, running the real host agent.
    `virtual_clock`: time stands still but for `advance` and `wait_for`, so that an hour passes in a blink.
    `controllers`: names of those to run, None for all; `scheduler`: whether pods get nodes by themselves.
    `plugins`: what is loaded beside Windlass' own: installed plugins by entry point name, and modules as they are.
    `config`: sections of the configuration file by plugin (`[plugins.config.NAME]`).
    `labels`: node labels, by node name.
    """

    nodes: int = 1
    cpu: str = "8"
    memory: str = "32Gi"
    virtual_clock: bool = False
    controllers: Sequence[str] | None = None
    scheduler: bool = True
    plugins: Sequence[str | ModuleType] = ()
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def node_names(self) -> tuple[str, ...]:
        """The nodes' names."""
        return tuple(f"node{number}" for number in range(1, self.nodes + 1))
