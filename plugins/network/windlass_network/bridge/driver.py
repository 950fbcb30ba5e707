"""The `bridge` network: one bridge per node, a veth pair per sandbox, addresses from the node's pod range, a tunnel to others.

Netlink calls block, so that they run in threads of their own; one lock per sandbox keeps its verbs in order.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from windlass.errors import NetworkDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.network import Attachment, NodeNetworkConfig, NodePeer
from windlass_network.bridge import links, masquerade, overlay
from windlass_network.bridge.ipam import FileIpam
from windlass_network.bridge.peers_plan import (
    HOST_GATEWAY,
    NO_OVERLAY,
    VXLAN,
    OverlayPlan,
    overlay_interface,
    plan_overlay,
    plan_peers,
    spans_hosts,
)
from windlass_network.bridge.plan import NodePlan, SandboxPlan, host_interface, plan_node, plan_sandbox

T = TypeVar("T")
THREADS = 4
DEFAULT_BRIDGE = "wl0"
log = get_logger(__name__)


class BridgeDriver:
    """The driver. Configuration: `bridge`; `mtu`, 0 takes the link's below; `mode`, how pods reach other nodes'."""

    nft: Sequence[str] = ("nft",)

    def __init__(
        self, *, bridge: str = DEFAULT_BRIDGE, mtu: int = 0, mode: str = VXLAN, masquerade: bool = True
    ) -> None:
        self._bridge = bridge
        self._mtu = mtu
        self._mode = mode
        self._masquerade = masquerade
        self._node_ip = ""
        self._overlay: OverlayPlan | None = None
        self._skipped: Sequence[str] = []
        self._plan: NodePlan | None = None
        self._ipams: list[FileIpam] = []
        self._index = 0
        self._locks: dict[str, asyncio.Lock] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bridge")

    async def _run(self, function: Callable[[Any], T]) -> T:
        """Run with a netlink socket in a thread; the kernel's refusals become NetworkDriverError."""

        def work() -> T:
            with self._open() as netlink:
                return function(netlink)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except (NetlinkError, OSError) as error:
            raise NetworkDriverError(f"{type(error).__name__}: {error}") from error

    def _open(self) -> Any:
        """Open netlink on the node; a driver for a node that is a namespace overrides this."""
        return IPRoute()

    def _ready(self) -> NodePlan:
        if self._plan is None:
            raise NetworkDriverError("the node's pod network has not been set up: the Node has no podCIDR yet")
        return self._plan

    async def setup(self, config: NodeNetworkConfig) -> None:
        """Make bridge and routes."""
        if not config.pod_cidrs:
            raise NetworkDriverError(f"node {config.node_name} has no podCIDR")
        try:
            plan = plan_node(self._bridge, config.pod_cidrs, [*config.cluster_cidrs, *config.service_cidrs])
        except ValueError as error:
            raise NetworkDriverError(str(error)) from error

        def work(netlink: Any) -> int:
            beneath = overlay.underlay_mtu(netlink, config.node_ip) if spans_hosts(config.node_ip) else None
            self._overlay = None
            if beneath is not None and self._mode == VXLAN:
                tunnel = plan_overlay(self._bridge, config.node_name, config.node_ip, plan.ranges, beneath)
                overlay.ensure_overlay(netlink, tunnel)
                self._overlay = tunnel
            else:
                links.remove_link(netlink, overlay_interface(self._bridge))
            below = self._overlay.mtu if self._overlay else beneath or links.default_mtu(netlink)
            self._mtu = min(self._mtu or below, below) if self._overlay else self._mtu or below
            links.enable_forwarding(*{network.version for network in plan.ranges})
            self._set_masquerade(masquerade.ruleset(self._bridge, plan.ranges, plan.unreachable))
            return links.ensure_bridge(netlink, plan, self._mtu)

        self._index = await self._run(work)
        self._ipams = [FileIpam(Path(config.state_dir) / "ipam", network) for network in plan.ranges]
        self._plan = plan
        self._node_ip = config.node_ip

    def _set_masquerade(self, commands: str) -> None:
        if not self._masquerade:
            return
        try:
            masquerade.apply(self.nft, commands)
        except FileNotFoundError:
            log.warning("no_masquerade", reason="nft is not installed: pods cannot reach beyond the cluster")

    async def set_peers(self, peers: Sequence[NodePeer]) -> None:
        """Make the ways to other nodes' pods, and take away those to nodes that have gone."""
        node = self._ready()
        if not spans_hosts(self._node_ip) or self._mode == NO_OVERLAY:
            return
        plan = plan_peers(self._mode, self._node_ip, node.ranges, peers)
        if plan.skipped != self._skipped:
            if plan.skipped:
                log.warning("peers_skipped", reasons=list(plan.skipped))
            self._skipped = plan.skipped

        def work(netlink: Any) -> None:
            index = overlay.ensure_overlay(netlink, self._overlay) if self._overlay else None
            overlay.sync_peers(netlink, plan.routes, index)

        await self._run(work)

    def node_addresses(self) -> Sequence[str]:
        """Return the bridge's own addresses: the pods' gateways."""
        return [address.partition("/")[0] for address in self._ready().gateways]

    async def add(self, sandbox_id: str, netns_path: str) -> Attachment:
        """Reserve addresses, then attach; a failed attachment keeps its reservation for the next try or `delete`."""
        node = self._ready()

        def work(netlink: Any) -> SandboxPlan:
            ips = [ipam.reserve(sandbox_id) for ipam in self._ipams]
            plan = plan_sandbox(node, sandbox_id, ips)
            links.attach(netlink, plan, bridge=self._index, netns_path=netns_path, mtu=self._mtu)
            return plan

        async with self._lock(sandbox_id):
            return _attachment(sandbox_id, await self._run(work))

    async def check(self, sandbox_id: str, netns_path: str) -> Attachment:
        """Verify the attachment."""
        node = self._ready()

        def work(netlink: Any) -> SandboxPlan:
            plan = plan_sandbox(node, sandbox_id, self._addresses(sandbox_id))
            links.verify(netlink, plan, bridge=self._index, netns_path=netns_path)
            return plan

        return _attachment(sandbox_id, await self._run(work))

    def _addresses(self, sandbox_id: str) -> list[str]:
        found = [ipam.find(sandbox_id) for ipam in self._ipams]
        known = [ip for ip in found if ip is not None]
        if len(known) != len(found):
            raise NetworkDriverError(f"sandbox {sandbox_id} has no address")
        return known

    async def delete(self, sandbox_id: str, netns_path: str) -> None:  # noqa: ARG002 - the host's end is enough
        """Remove the pair first, then free the addresses: never the other way round."""

        def work(netlink: Any) -> None:
            links.remove_link(netlink, host_interface(sandbox_id))
            for ipam in self._ipams:
                ipam.release(sandbox_id)

        async with self._lock(sandbox_id):
            await self._run(work)
        self._locks.pop(sandbox_id, None)

    async def gc(self, valid_sandbox_ids: Sequence[str]) -> None:
        """Remove pairs and reservations of every other sandbox."""
        valid = set(valid_sandbox_ids)
        keep = {host_interface(i) for i in valid}

        def work(netlink: Any) -> tuple[list[str], int]:
            removed = links.collect(netlink, self._bridge, keep)
            return removed, sum(len(ipam.release_all_but(valid)) for ipam in self._ipams)

        removed, freed = await self._run(work)
        if removed or freed:
            log.info("network_collected", interfaces=len(removed), addresses=freed)

    async def status(self) -> None:
        """Raise when the node is not set up or its bridge has gone."""
        self._ready()
        if await self._run(lambda netlink: links.index_of(netlink, self._bridge)) is None:
            raise NetworkDriverError(f"bridge {self._bridge} has gone")
        tunnel = self._overlay
        if tunnel and await self._run(lambda netlink: links.index_of(netlink, tunnel.interface)) is None:
            raise NetworkDriverError(f"interface {tunnel.interface} has gone")

    async def teardown(self) -> None:
        """Remove bridge, pairs, routes and reservations."""
        plan = self._plan or NodePlan(self._bridge, (), (), ())

        def work(netlink: Any) -> None:
            if self._node_ip and self._mode == HOST_GATEWAY:
                overlay.sync_peers(netlink, (), None)
            links.remove_link(netlink, overlay_interface(self._bridge))
            links.remove_node(netlink, plan)
            self._set_masquerade(masquerade.removal(self._bridge))
            for ipam in self._ipams:
                ipam.release_all_but(())

        await self._run(work)
        self._plan = None

    def _lock(self, sandbox_id: str) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_id, asyncio.Lock())


def _attachment(sandbox_id: str, plan: SandboxPlan) -> Attachment:
    return Attachment(sandbox_id, tuple(a.partition("/")[0] for a in plan.addresses))


def build(config: Mapping[str, Any]) -> BridgeDriver:
    """Build the driver from its configuration section."""
    return BridgeDriver(
        bridge=str(config.get("bridge") or DEFAULT_BRIDGE),
        mtu=int(config.get("mtu") or 0),
        mode=str(config.get("mode") or VXLAN),
        masquerade=bool(config.get("masquerade", True)),
    )
