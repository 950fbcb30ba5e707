"""Notices nodes that fall silent, and keeps every node's taints as its conditions and cordon say.

A node is alive while its Lease changes. That is measured by our own clock from the moment we saw it change, so neither
a skewed clock on a node nor a pause of ours makes a node look dead.
"""

from collections.abc import Mapping
from typing import Any

from windlass.apis.resources import LEASES, NODES, PODS
from windlass.clock import rfc3339
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop
from windlass_controllers.nodelifecycle.plan import (
    EvictionLimiter,
    eviction_rate,
    needs_eviction,
    not_ready_pod,
    plan_silence,
    plan_taints,
    ready_status,
)

Obj = dict[str, Any]
LEASE_NAMESPACE = "kube-node-lease"
CHECK_SECONDS = 5.0
NODE_INDEX = "node"


def node_index(pod: Mapping[str, Any]) -> list[str]:
    """Index pods by their node."""
    return [pod["spec"]["nodeName"]] if pod["spec"].get("nodeName") else []


class NodeLifecycleController:
    """One key is one node; each is looked at when it changes and every five seconds."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._nodes = context.informers.informer(NODES)
        self._leases = context.informers.informer(LEASES, namespace=LEASE_NAMESPACE)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(NODE_INDEX, node_index)
        self._heard: dict[str, tuple[str, float]] = {}
        self._limiter = EvictionLimiter()
        self.loop = KeyedLoop("nodelifecycle", context.clock)
        self.loop.feed(self._nodes, lambda node: [node["metadata"]["name"]])
        self.loop.feed(self._leases, self._note_lease)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._pods.wait_synced()
        await self.loop.run(self.reconcile)

    def _note_lease(self, lease: Obj) -> list[str]:
        name = lease["metadata"]["name"]
        renewed = str((lease.get("spec") or {}).get("renewTime") or "")
        if self._heard.get(name, ("", 0.0))[0] != renewed:
            self._heard[name] = (renewed, self._clock.monotonic())
        node = self._nodes.get("", name)
        return [name] if node is not None and ready_status(node) == "Unknown" else []

    async def reconcile(self, name: str) -> float | None:
        """Look at one node."""
        node = self._nodes.get("", name)
        if node is None:
            self._heard.pop(name, None)
            return None
        node = await self._mark_silence(node)
        if ready_status(node) != "True":
            await self._mark_pods(name)
        await self._set_taints(node)
        return CHECK_SECONDS

    def _silent_seconds(self, node: Obj) -> float:
        """Return for how long neither the Lease nor, where there is none, the node's own status has changed."""
        name, now = node["metadata"]["name"], self._clock.monotonic()
        lease = self._leases.get(LEASE_NAMESPACE, name)
        beat = str((lease.get("spec") or {}).get("renewTime") or "") if lease is not None else ""
        if lease is None:
            conditions = (node.get("status") or {}).get("conditions") or ()
            beat = max((str(c.get("lastHeartbeatTime") or "") for c in conditions), default="")
        known, since = self._heard.get(name, (None, now))
        if known != beat:
            self._heard[name] = (beat, now)
            return 0.0
        return now - since

    async def _mark_silence(self, node: Obj) -> Obj:
        conditions = plan_silence(node, self._silent_seconds(node), rfc3339(self._clock.now()))
        if conditions is None:
            return node
        was_ready = ready_status(node) == "True"
        status = {**(node.get("status") or {}), "conditions": conditions}
        node = await self._client.update(NODES, {**node, "status": status}, subresource="status")
        if was_ready:
            name = node["metadata"]["name"]
            self._recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        return node

    async def _mark_pods(self, name: str) -> None:
        """Take the pods of a node that is not ready out of Services. The next look repeats what fails now."""
        for pod in self._pods.by_index(NODE_INDEX, name):
            conditions = not_ready_pod(pod, rfc3339(self._clock.now()))
            if conditions is None:
                continue
            status = {**(pod.get("status") or {}), "conditions": conditions}
            try:
                await self._client.update(PODS, {**pod, "status": status}, subresource="status")
            except NotFoundError:
                continue
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    async def _set_taints(self, node: Obj) -> None:
        may_evict = False
        if needs_eviction(node):
            may_evict = self._limiter.may_evict(eviction_rate(self._nodes.list()), self._clock.monotonic())
        taints = plan_taints(node, rfc3339(self._clock.now()), may_evict=may_evict)
        if taints is None:
            return
        spec = {**(node.get("spec") or {}), "taints": taints}
        await self._client.update(NODES, {**node, "spec": spec})
