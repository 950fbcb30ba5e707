"""Deletes what its owners left behind, and carries out foreground and orphan deletion.

The graph comes from one informer per served kind, of metadata alone. It says where to look; what is done rests on live
reads: an owner counts as absent only when the API server says so, by uid.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.client.discovery import discover
from windlass.client.informer import Informer
from windlass.client.reconcile import reconcile_loop
from windlass.client.workqueue import WorkQueue
from windlass.errors import ApiError, ConflictError, NotFoundError
from windlass.logs import get_logger
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Node, Owner, node_of
from windlass_controllers.garbagecollector.plan import (
    OwnerState,
    blocking_dependents,
    plan_dependent,
    plan_event,
    unblocked,
    without_owners,
)

Obj = dict[str, Any]
WORKERS = 16
DISCOVERY_SECONDS = 30.0
RETRY_SECONDS = 5.0
ABSENT_KNOWN = 10_000
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
log = get_logger(__name__)


class GarbageCollector:
    """One key is one uid."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._informers = context.informers
        self.graph = Graph()
        self.queue = WorkQueue(context.clock)
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._followed: dict[Resource, Callable[[], None]] = {}
        self._synced: list[Informer] = []
        self._absent: dict[tuple[str, str], None] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._follow_new_kinds()
            await asyncio.gather(*(informer.wait_synced() for informer in self._synced))
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    reconcile_loop(self.queue, self.reconcile, controller="garbagecollector", workers=WORKERS)
                )
                group.create_task(self._discover_repeatedly())
        finally:
            for stop in self._followed.values():
                stop()

    # -- building the graph

    async def _discover_repeatedly(self) -> None:
        while True:
            await self._clock.sleep(DISCOVERY_SECONDS)
            try:
                await self._follow_new_kinds()
            except ApiError as error:
                log.warning("discovery_failed", error=str(error))

    async def _follow_new_kinds(self) -> None:
        discovery = await discover(self._client)
        for item in discovery.resources:
            resource = item.resource
            self._kinds[(resource.api_version, item.kind)] = resource
            self._kinds.setdefault((resource.group, item.kind), resource)
            ignored = (resource.group, resource.plural) in IGNORED
            if ignored or resource in self._followed or not {"list", "watch", "delete"} <= item.verbs:
                continue
            informer = self._informers.informer(resource, metadata_only=True)
            self._synced.append(informer)
            handler = self._handler(resource.api_version, item.kind)
            self._followed[resource] = informer.on_event(handler, replay=True)

    def _handler(self, api_version: str, kind: str) -> Callable[[str, Obj | None, Obj | None], None]:
        def handle(_event_type: str, old: Obj | None, new: Obj | None) -> None:
            if new is not None:
                node = node_of(new, api_version, kind)
                before = self.graph.put(node)
                uids = plan_event(before, node, self.graph)
            else:
                assert old is not None
                before = self.graph.remove(old["metadata"]["uid"])
                uids = plan_event(before, None, self.graph) if before is not None else []
            for uid in uids:
                self.queue.add(uid)

        return handle

    # -- judging one object

    async def reconcile(self, uid: str) -> float | None:
        """Look at one object: carry out its own deletion policy, or judge it by its owners."""
        node = self.graph.get(uid)
        if node is None or self._needs_nothing(node):
            return None
        try:
            live = await self._live(node)
            if live is None:
                return None
            seen = node_of(live, node.api_version, node.kind)
            if seen.orphans_dependents:
                return await self._orphan_dependents(seen, live)
            if seen.waits_for_dependents:
                return await self._finish_foreground(seen, live)
            if seen.deleting or not seen.owners:
                return None
            return await self._judge(seen, live)
        except NotFoundError:
            return None

    def _needs_nothing(self, node: Node) -> bool:
        """Say whether the graph alone shows that nothing is to be done, as it does for nearly all objects."""
        return not node.deleting and all(self._known_state(owner, node) is OwnerState.SOLID for owner in node.owners)

    def _known_state(self, owner: Owner, node: Node) -> OwnerState:
        """Return an owner's state as the graph shows it; UNKNOWN when it must be asked for."""
        known = self.graph.get(owner.uid)
        if known is None or known.namespace not in {"", node.namespace} or known.kind != owner.kind:
            return OwnerState.UNKNOWN
        return OwnerState.WAITING if known.waits_for_dependents else OwnerState.SOLID

    async def _live(self, node: Node) -> Obj | None:
        resource = self._kinds[(node.api_version, node.kind)]
        try:
            live = await self._client.get(resource, node.name, node.namespace)
        except NotFoundError:
            return None
        return live if live["metadata"]["uid"] == node.uid else None

    async def _judge(self, node: Node, live: Obj) -> float | None:
        states = {owner: await self._state_of(owner, node) for owner in node.owners}
        verdict = plan_dependent(node, states, self.graph)
        if verdict.drop:
            references = without_owners(live["metadata"]["ownerReferences"], verdict.drop)
            await self._patch(node, live, {"ownerReferences": references})
        if verdict.unblock:
            live = await self._patch(node, live, {"ownerReferences": unblocked(live["metadata"]["ownerReferences"])})
        if verdict.policy:
            resource = self._kinds[(node.api_version, node.kind)]
            await self._client.delete(
                resource, node.name, node.namespace, uid=node.uid, propagation_policy=verdict.policy,
                resource_version=live["metadata"]["resourceVersion"],
            )
            log.info("collected", kind=node.kind, namespace=node.namespace, name=node.name, policy=verdict.policy)
        return RETRY_SECONDS if verdict.retry else None

    async def _state_of(self, owner: Owner, node: Node) -> OwnerState:
        state = self._known_state(owner, node)
        if state is not OwnerState.UNKNOWN:
            return state
        known = self.graph.get(owner.uid)
        if (owner.uid, node.namespace) in self._absent:
            return OwnerState.ABSENT
        resource = self._kinds.get((owner.api_version, owner.kind))
        resource = resource or self._kinds.get((owner.api_version.rpartition("/")[0], owner.kind))
        if resource is None:
            return OwnerState.UNKNOWN
        if resource.namespaced and not node.namespace:
            self._tell_wrong_namespace(node, owner, "cluster-scoped objects cannot have namespaced owners")
            return OwnerState.UNKNOWN
        if known is not None:
            self._tell_wrong_namespace(node, owner, f'it lives in namespace "{known.namespace}"')
        return await self._ask_for_owner(resource, owner, node)

    async def _ask_for_owner(self, resource: Resource, owner: Owner, node: Node) -> OwnerState:
        try:
            live = await self._client.get(resource, owner.name, node.namespace if resource.namespaced else "")
        except NotFoundError:
            live = {"metadata": {"uid": ""}}
        if live["metadata"]["uid"] != owner.uid:
            self._absent[(owner.uid, node.namespace)] = None  # a uid never comes back
            if len(self._absent) > ABSENT_KNOWN:
                del self._absent[next(iter(self._absent))]
            return OwnerState.ABSENT
        waiting = node_of(live, owner.api_version, owner.kind).waits_for_dependents
        return OwnerState.WAITING if waiting else OwnerState.SOLID

    def _tell_wrong_namespace(self, node: Node, owner: Owner, why: str) -> None:
        named = f"{owner.api_version}/{owner.kind}, name: {owner.name}, uid: {owner.uid}"
        message = f"ownerRef [{named}] is not valid: {why}"
        reference = {"apiVersion": node.api_version, "kind": node.kind, "name": node.name, "namespace": node.namespace,
                     "uid": node.uid}
        self._recorder.event(reference, "Warning", "OwnerRefInvalidNamespace", message)

    # -- deletion policies

    async def _orphan_dependents(self, node: Node, live: Obj) -> float | None:
        """Take the owner reference from every dependent, then the finalizer from the owner."""
        for dependent in self.graph.dependents(node.uid):
            current = await self._live(dependent)
            if current is None:
                continue
            references = without_owners(current["metadata"].get("ownerReferences") or (), [node.uid])
            try:
                await self._patch(dependent, current, {"ownerReferences": references})
            except NotFoundError:
                continue
        await self._remove_finalizer(node, live, ORPHAN)
        return None

    async def _finish_foreground(self, node: Node, live: Obj) -> float | None:
        """Let the object go once no blocking dependent is left; till then have the dependents looked at."""
        blocking = blocking_dependents(node, self.graph)
        if not blocking:
            await self._remove_finalizer(node, live, FOREGROUND)
            return None
        for dependent in blocking:
            if not dependent.deleting:
                self.queue.add(dependent.uid)
        return None

    async def _remove_finalizer(self, node: Node, live: Mapping[str, Any], finalizer: str) -> None:
        kept = [name for name in live["metadata"].get("finalizers") or () if name != finalizer]
        try:
            await self._patch(node, live, {"finalizers": kept or None})
        except ConflictError:
            self.queue.retry(node.uid)

    async def _patch(self, node: Node, live: Mapping[str, Any], metadata: Obj) -> Obj:
        """Change metadata of exactly the object that was read. Raises ConflictError when it has changed since."""
        known = live["metadata"]
        patch = {"metadata": {"uid": known["uid"], "resourceVersion": known["resourceVersion"], **metadata}}
        return await self._client.patch(self._kinds[(node.api_version, node.kind)], node.name, patch, node.namespace)
