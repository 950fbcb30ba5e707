"""Pod networks, with CNI's verbs.

The agent calls `setup` once with the node's pod CIDR, then `add` for each sandbox, `delete` when it goes, `check`
after a restart, and `gc` with all valid sandboxes so that whatever else the driver made is removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class NodeNetworkConfig:
    """What a driver needs to know of its node. `options` is the plugin's own configuration section."""

    node_name: str
    node_ip: str
    pod_cidrs: Sequence[str]
    cluster_cidrs: Sequence[str]
    service_cidrs: Sequence[str]
    state_dir: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A sandbox's place in the network."""

    sandbox_id: str
    ips: Sequence[str]
    interface: str = "eth0"


class NetworkDriver(Protocol):
    """A pod network on one node. Errors are NetworkDriverError. Every verb is idempotent and crash-safe."""

    async def setup(self, config: NodeNetworkConfig) -> None:
        """Make the node's part (bridge, routes, `unreachable` for cluster ranges), before any pod."""
        ...

    async def add(self, sandbox_id: str, netns_path: str) -> Attachment:
        """Attach a sandbox and return its addresses; a second call returns the first one's answer."""
        ...

    async def check(self, sandbox_id: str, netns_path: str) -> Attachment:
        """Return an existing attachment. Raises NetworkDriverError when it is damaged or absent."""
        ...

    async def delete(self, sandbox_id: str, netns_path: str) -> None:
        """Detach and free the addresses; fine when there is nothing, or the namespace has gone."""
        ...

    async def gc(self, valid_sandbox_ids: Sequence[str]) -> None:
        """Remove every attachment but these."""
        ...

    async def status(self) -> None:
        """Return when `add` can work; raise NetworkDriverError with the reason when it cannot."""
        ...

    async def teardown(self) -> None:
        """Remove everything the driver made on this node."""
        ...


@dataclass(frozen=True, slots=True)
class NodePeer:
    """Another node: where it is and which pods' addresses are behind it. Its addresses are of either family."""

    name: str
    addresses: Sequence[str]
    pod_cidrs: Sequence[str]


@runtime_checkable
class PeerRouting(Protocol):
    """What a driver may offer besides: ways to the pods of other nodes.

    The agent tells it all other nodes that have an address and a pod range, after `setup` and whenever they change.
    """

    async def set_peers(self, peers: Sequence[NodePeer]) -> None:
        """Make exactly these nodes' pods reachable. A peer that cannot be reached so is skipped and logged."""
        ...


@runtime_checkable
class NodeAddressing(Protocol):
    """What a driver may offer besides: addresses of the node that its pods reach without leaving it.

    The agent serves the cluster's DNS there; with a driver that offers none, pods get the node's own resolver.
    """

    def node_addresses(self) -> Sequence[str]:
        """Return the addresses, as they are after `setup`."""
        ...
