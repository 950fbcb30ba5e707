"""Deletes pods that are bound to nodes which exist no more, and pods that are being deleted and never had a node."""

from typing import Any

from windlass.apis.resources import NODES, PODS
from windlass.clock import rfc3339
from windlass.errors import ConflictError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.nodelifecycle.controller import NODE_INDEX, node_index
from windlass_controllers.podgc.plan import QUARANTINE_SECONDS, failed_status, is_orphaned, is_stuck_unscheduled

Obj = dict[str, Any]


class PodGcController:
    """One key is one pod."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        self._nodes = context.informers.informer(NODES)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(NODE_INDEX, node_index)
        self._missing: dict[str, float] = {}
        self.loop = KeyedLoop("podgc", context.clock)
        self.loop.feed(self._nodes, self._pods_of)
        self.loop.feed(self._pods, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _pods_of(self, node: Obj) -> list[str]:
        name = node["metadata"]["name"]
        if self._nodes.get("", name) is not None:
            self._missing.pop(name, None)
            return []
        return [key for pod in self._pods.by_index(NODE_INDEX, name) for key in own_key(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Delete one pod that nobody else will."""
        pod = self._pods.get(*split_key(key))
        if pod is None:
            return None
        if is_stuck_unscheduled(pod):
            await self._delete(pod)
            return None
        missing = self._missing_seconds(str(pod["spec"].get("nodeName") or ""))
        if missing is None:
            return None
        if not is_orphaned(pod, missing):
            return QUARANTINE_SECONDS - missing
        await self._fail_and_delete(pod)
        return None

    def _missing_seconds(self, node_name: str) -> float | None:
        if not node_name or self._nodes.get("", node_name) is not None:
            return None
        now = self._clock.monotonic()
        return now - self._missing.setdefault(node_name, now)

    async def _fail_and_delete(self, pod: Obj) -> None:
        """Ask the API server once more whether the node is gone, then let the pod go."""
        try:
            await self._client.get(NODES, pod["spec"]["nodeName"])
        except NotFoundError:
            status = failed_status(pod, rfc3339(self._clock.now()))
            try:
                await self._client.update(PODS, {**pod, "status": status}, subresource="status")
            except ConflictError:
                pass  # the status is for information; the deletion has its own precondition
            except NotFoundError:
                return
            await self._delete(pod)

    async def _delete(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.delete(
                PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"], grace_period_seconds=0
            )
        except NotFoundError:
            return
