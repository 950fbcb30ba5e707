"""Service proxies: what makes a Service's addresses lead to its endpoints, on one node.

The agent calls `setup` once, then `sync` with every Service; from then on `apply` with those that changed, and `check`
now and then. A driver programs something that forwards by itself (the kernel, another process): with the agent gone,
what was applied goes on working. What no endpoint serves is refused, never left without an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

ServiceKey: TypeAlias = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class NodeProxyConfig:
    """What a driver needs to know of its node.

    `source_addresses`: addresses of the node that pods answer to, for its own connections to Services; may be empty.
    """

    node_name: str
    node_ips: Sequence[str]
    pod_cidrs: Sequence[str]
    service_cidrs: Sequence[str]
    source_addresses: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A Service and its EndpointSlices, in wire form. Never mutate them."""

    service: Mapping[str, Any]
    slices: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ProxyProblem:
    """Something in a Service that is not served, for an event on it: an address that is refused, a key taken."""

    service: ServiceKey
    reason: str
    message: str


class ProxyDriver(Protocol):
    """A proxy on one node. Errors are NetworkDriverError. Every verb is idempotent and crash-safe."""

    async def setup(self, config: NodeProxyConfig) -> None:
        """Prepare the node (routes to the service range). What an earlier run applied goes on working."""
        ...

    async def sync(self, services: Mapping[ServiceKey, ServiceState]) -> Sequence[ProxyProblem]:
        """Make these all there is, in one step that no connection notices. Return what is not served."""
        ...

    async def apply(self, changes: Mapping[ServiceKey, ServiceState | None]) -> Sequence[ProxyProblem]:
        """Change these Services (None: gone), after a `sync`, in one step. On an error nothing has changed."""
        ...

    async def check(self) -> None:
        """Raise NetworkDriverError when what was applied is no longer there: the agent then calls `sync`."""
        ...

    async def teardown(self) -> None:
        """Remove everything the driver made on this node; fine when there is nothing, and without `setup`."""
        ...
