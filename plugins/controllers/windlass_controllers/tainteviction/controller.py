"""Evicts pods from nodes with NoExecute taints, after as long as they tolerate them.

Nothing is scheduled that would have to be cancelled: whenever a pod or its node changes, and when its time has come,
the question is asked anew from what is there then (C256).
"""

from datetime import datetime
from typing import Any

from windlass.apis.resources import NODES, PODS
from windlass.errors import ConflictError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.nodelifecycle.controller import NODE_INDEX, node_index
from windlass_controllers.tainteviction.plan import disruption_status, plan_eviction
from windlass_controllers.taints import no_execute

Obj = dict[str, Any]


class TaintEvictionController:
    """One key is one pod."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._nodes = context.informers.informer(NODES)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(NODE_INDEX, node_index)
        self._seen: dict[str, dict[tuple[str, str], datetime]] = {}
        self._waiting: set[str] = set()
        self.loop = KeyedLoop("tainteviction", context.clock)
        self.loop.feed(self._nodes, self._note_node)
        self.loop.feed(self._pods, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _note_node(self, node: Obj) -> list[str]:
        """Remember since when taints are there; have the node's pods looked at when it has or had any."""
        name = node["metadata"]["name"]
        current = self._nodes.get("", name)
        taints = no_execute(((current or {}).get("spec") or {}).get("taints") or ())
        before, now = self._seen.get(name, {}), self._clock.now()
        ids = [(taint["key"], str(taint.get("value") or "")) for taint in taints]
        if not ids and not before:
            return []
        self._seen[name] = {identity: before.get(identity, now) for identity in ids}
        return [key for pod in self._pods.by_index(NODE_INDEX, name) for key in own_key(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Evict one pod if its time has come; else ask to be called when it will."""
        namespace, name = split_key(key)
        pod = self._pods.get(namespace, name)
        node_name = pod["spec"].get("nodeName") if pod is not None else None
        if pod is None or not node_name:
            self._waiting.discard(key)
            return None
        seen = self._seen.get(node_name, {})
        seconds = plan_eviction(pod, self._nodes.get("", node_name), seen, self._clock.now())
        if seconds is None:
            if key in self._waiting:
                self._waiting.discard(key)
                self._tell(pod, f"Cancelling deletion of Pod {key}")
            return None
        self._waiting.add(key)
        if seconds > 0:
            return seconds
        self._waiting.discard(key)
        await self._evict(key, pod)
        return None

    async def _evict(self, key: str, pod: Obj) -> None:
        metadata = pod["metadata"]
        self._tell(pod, f"Marking for deletion Pod {key}")
        try:
            status = disruption_status(pod, self._clock.now())
            await self._client.update(PODS, {**pod, "status": status}, subresource="status")
        except ConflictError:
            pass  # the condition is for information; the deletion below has its own precondition
        except NotFoundError:
            return
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return

    def _tell(self, pod: Obj, message: str) -> None:
        self._recorder.event(pod, "Normal", "TaintManagerEviction", message)
