"""Gives each Node without one a range for its pods, out of the cluster's, never one twice.

What is taken is read from the Nodes alone, so a restart or another leader goes on where this one stopped: the leader's
list is newer than any write of its predecessor, whose later writes the fence refuses.
"""

from typing import Any

from windlass.apis.resources import NODES
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key
from windlass_controllers.nodeipam.plan import allocate_all, cluster_ranges

Obj = dict[str, Any]
DEFAULT_CLUSTER_CIDRS = ("10.244.0.0/16",)
FULL_RETRY_SECONDS = 60.0


class NodeIpamController:
    """One key is one node; one worker, so that ranges are given out one after the other."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._recorder = context.client, context.recorder
        self._nodes = context.informers.informer(NODES)
        self._ranges = cluster_ranges(context.config.get("cluster_cidrs") or DEFAULT_CLUSTER_CIDRS)
        self._given: dict[str, list[str]] = {}
        self.loop = KeyedLoop("nodeipam", context.clock, workers=1)
        self.loop.feed(self._nodes, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        stop = self._nodes.on_event(self._note, replay=True)
        try:
            await self.loop.run(self.reconcile)
        finally:
            stop()

    def _note(self, _event_type: str, old: Obj | None, new: Obj | None) -> None:
        node = new or old
        if node is None:
            return
        name, cidrs = node["metadata"]["name"], pod_cidrs(node)
        for part in self._ranges:
            if new is None:
                part.release(name)
            else:
                part.hold(name, cidrs)
        if new is None or cidrs:
            self._given.pop(name, None)

    async def reconcile(self, name: str) -> float | None:
        """Give one node its range; a full cluster range is told on the node and tried again later."""
        node = self._nodes.get("", name)
        if node is None or pod_cidrs(node) or node["metadata"].get("deletionTimestamp"):
            return None
        # An earlier write may have counted though we have not seen it: the same range again, never another one.
        cidrs = self._given.get(name) or allocate_all(self._ranges, name)
        if not cidrs:
            self._recorder.event(node, "Warning", "CIDRNotAvailable", f"Node {name} status is now: CIDRNotAvailable")
            return FULL_RETRY_SECONDS
        self._given[name] = cidrs
        spec = {**(node.get("spec") or {}), "podCIDR": cidrs[0], "podCIDRs": cidrs}
        try:
            await self._client.update(NODES, {**node, "spec": spec})
        except NotFoundError:
            return None  # the event of its deletion frees the range
        return None


def pod_cidrs(node: Obj) -> list[str]:
    """Return a node's pod ranges. Pure."""
    spec = node.get("spec") or {}
    return list(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))
