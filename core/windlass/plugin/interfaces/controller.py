"""Controllers: loops that drive the world towards what objects say.

A controller is `plan(observed) -> actions`, pure, plus a thin loop. The manager runs each registered controller under
leader election, in its own task: one that raises is logged, counted and restarted with back-off; the others go on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.client.informer import InformerFactory
    from windlass.client.recorder import EventRecorder
    from windlass.clock import Clock


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """What a controller works with. `client` is already fenced by the manager's lease.

    `root_ca` is the cluster's CA in PEM, '' when unknown.
    """

    client: "Client"
    informers: "InformerFactory"
    recorder: "EventRecorder"
    clock: "Clock"
    config: Mapping[str, Any] = field(default_factory=dict)
    root_ca: str = ""


class Controller(Protocol):
    """One running controller."""

    async def run(self) -> None:
        """Work until cancelled. Raise to be restarted with back-off."""
        ...


@dataclass(frozen=True, slots=True)
class ControllerRegistration:
    """What `register_controllers` hands out: a unique name and how to build the controller."""

    name: str
    build: Callable[[ControllerContext], Controller]
