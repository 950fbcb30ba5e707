"""The other nodes, as the network driver needs them: who is where, with which pods behind it."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from windlass.client.informer import Informer
from windlass.clock import Clock
from windlass.errors import NetworkDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.network import NodePeer, PeerRouting

Obj = dict[str, Any]
MEMORY = "pod-cidrs"
RETRY_SECONDS = 2.0
REPAIR_SECONDS = 60.0
"""Routes that somebody else removed come back after so long."""
log = get_logger(__name__)


def pod_cidrs(node: Obj) -> list[str]:
    """Return the node's pod ranges. Pure."""
    spec = node.get("spec") or {}
    return list(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))


def remember_pod_cidrs(data_dir: Path, cidrs: Sequence[str]) -> None:
    """Keep the ranges for a later `--cleanup`, which has no API to ask."""
    (data_dir / MEMORY).write_text("\n".join(cidrs))


def remembered_pod_cidrs(data_dir: Path) -> list[str]:
    """Return what was kept; nothing when the node's network has never been set up."""
    memory = data_dir / MEMORY
    return memory.read_text().split() if memory.exists() else []


def peers_of(nodes: Iterable[Obj], own_name: str) -> list[NodePeer]:
    """Return every other node that has an address and a pod range, by name. Pure."""
    found = []
    for node in nodes:
        name = node["metadata"]["name"]
        told = (node.get("status") or {}).get("addresses") or ()
        addresses = tuple(item["address"] for item in told if item.get("type") == "InternalIP")
        if name != own_name and addresses and pod_cidrs(node):
            found.append(NodePeer(name, addresses, tuple(pod_cidrs(node))))
    return sorted(found, key=lambda peer: peer.name)


class NodePeers:
    """Follows all Nodes: waits for this one's range, then keeps the driver's ways to the others right."""

    def __init__(self, nodes: Informer, own_name: str, clock: Clock) -> None:
        self._nodes = nodes
        self._own_name = own_name
        self._clock = clock
        self._changed = asyncio.Event()
        nodes.on_event(self._note)

    def _note(self, _event_type: str, _old: Obj | None, _new: Obj | None) -> None:
        self._changed.set()

    async def own_node(self) -> Obj:
        """Wait until this Node has a pod range, and return it."""
        told = False
        while True:
            self._changed.clear()
            node = self._nodes.get("", self._own_name)
            if node is not None and pod_cidrs(node):
                return node
            if not told and self._nodes.has_synced:
                log.info("waiting_for_pod_cidr", node=self._own_name)
                told = True
            await self._changed.wait()

    async def run(self, driver: PeerRouting) -> None:
        """Tell the driver its peers at every change, and now and then again, until cancelled."""
        await self._nodes.wait_synced()
        told: Sequence[NodePeer] | None = None
        due = 0.0
        while True:
            self._changed.clear()
            peers = peers_of(self._nodes.list(), self._own_name)
            if peers != told or self._clock.monotonic() >= due:
                told = peers if await self._tell(driver, peers) else None
                due = self._clock.monotonic() + (REPAIR_SECONDS if told is not None else RETRY_SECONDS)
            await self._wait(due - self._clock.monotonic())

    async def _tell(self, driver: PeerRouting, peers: Sequence[NodePeer]) -> bool:
        try:
            await driver.set_peers(peers)
        except NetworkDriverError as error:
            log.warning("peers_not_set", peers=len(peers), error=str(error))
            return False
        return True

    async def _wait(self, seconds: float) -> None:
        """Return at the next change, or after so long."""
        changed = asyncio.ensure_future(self._changed.wait())
        pause = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.0)))
        try:
            await asyncio.wait({changed, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (changed, pause):
                task.cancel()
            await asyncio.gather(changed, pause, return_exceptions=True)
