"""Keeps one pod of each DaemonSet on every node that should have one."""

from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from windlass.errors import ApiError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.batches import slow_start
from windlass_controllers.daemonset.nodes import new_pod
from windlass_controllers.daemonset.plan import DaemonPlan, plan_daemons, plan_status, view_nodes
from windlass_controllers.expectations import Expectations
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.ownership import (
    CONTROLLER_INDEX,
    controller_index,
    keys_of_owner,
    matching_owners,
    orphans_of,
    plan_claim,
    settle_claim,
)
from windlass_controllers.pod_writer import PodWriter
from windlass_controllers.replicaset.plan import is_same_status
from windlass_controllers.revision_history import RevisionHistory
from windlass_controllers.revisions import hash_of

Obj = dict[str, Any]


class DaemonSetController:
    """One key is one DaemonSet. Counts only in a cache that shows all its own writes."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock = context.client, context.clock
        informers = context.informers
        self._sets = informers.informer(DAEMONSETS)
        self._pods = informers.informer(PODS)
        self._nodes = informers.informer(NODES)
        self._revisions = informers.informer(CONTROLLERREVISIONS)
        for informer in (self._pods, self._revisions):
            informer.add_index(CONTROLLER_INDEX, controller_index)
        self._expected = Expectations(self._pods, context.clock)
        self._writer = PodWriter(context, self._expected)
        self._history = RevisionHistory(context.client, self._revisions, DAEMONSETS, context.clock)
        self.loop = KeyedLoop("daemonset", context.clock)
        self.loop.feed(self._sets, own_key)
        self.loop.feed(self._nodes, lambda _node: [key for one in self._sets.list() for key in own_key(one)])
        self.loop.feed(self._pods, keys_of_owner("DaemonSet", self._possible_owners))
        self.loop.feed(self._revisions, keys_of_owner("DaemonSet", lambda _revision: ()))

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _possible_owners(self, pod: Obj) -> list[str]:
        return matching_owners(self._sets.list(pod["metadata"]["namespace"]), pod)

    async def reconcile(self, key: str) -> float | None:
        """Bring one DaemonSet in line, and report."""
        namespace, name = split_key(key)
        daemon_set = self._sets.get(namespace, name)
        if daemon_set is None:
            self._expected.forget(key)
            self._history.forget(key)
            return None
        if not (self._expected.are_met(key) and self._history.is_current(key)):
            return 1.0
        candidates = self._pods.by_index(CONTROLLER_INDEX, daemon_set["metadata"]["uid"])
        candidates += self._pods.by_index(CONTROLLER_INDEX, orphans_of(namespace))
        claim = plan_claim(daemon_set, candidates)
        owned = list(await settle_claim(self._client, DAEMONSETS, PODS, daemon_set, claim))
        if is_being_deleted(daemon_set):
            return None
        revision = await self._history.settle(key, daemon_set, owned)
        if revision is None:
            return 0.0  # the name was taken: the new collision count comes back as an event
        views = view_nodes(daemon_set, self._nodes.list(), owned)
        plan = plan_daemons(daemon_set, views, hash_of(revision), self._clock.now())
        failure = await self._apply(key, daemon_set, plan, hash_of(revision))
        status, again = plan_status(daemon_set, views, hash_of(revision), self._clock.now())
        if not is_same_status(daemon_set.get("status"), status):
            try:
                await self._client.update(DAEMONSETS, {**daemon_set, "status": status}, subresource="status")
            except NotFoundError:
                return None
        if failure is not None:
            raise failure
        return again

    async def _apply(self, key: str, daemon_set: Obj, plan: DaemonPlan, revision_hash: str) -> ApiError | None:
        for pod in plan.failed:
            where = f"{pod['metadata']['name']} on node {pod['spec'].get('nodeName', '')}"
            self._writer.tell(
                daemon_set, "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it"
            )
        refused = await slow_start(
            plan.delete, lambda pod: self._writer.delete(key, daemon_set, pod), first=len(plan.delete)
        )
        made = await slow_start(
            plan.create,
            lambda node: self._writer.create(
                key, daemon_set, lambda suffix: new_pod(daemon_set, node, revision_hash, suffix)
            ),
        )
        return made or refused
