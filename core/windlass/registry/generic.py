"""The registry of one kind: every verb that the API offers on it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from windlass.apimachinery.scheme import KindDefinition
from windlass.errors import NotFoundError
from windlass.registry import applying, pods, reading, scale, update
from windlass.registry import create as creating
from windlass.registry import delete as deleting
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.continuation import Snapshots
from windlass.registry.finalize import finalize
from windlass.registry.options import Body, DeleteOptions, ListOptions, Patch, RequestContext, Written
from windlass.registry.patching import APPLY_PATCH, patch_transform, sees_managers

if TYPE_CHECKING:
    from windlass.store.watchcache import CachedObject

COLLECTION_WORKERS = 16


class Registry:
    """One kind's verbs. `namespace` is '' for cluster-scoped kinds and, in lists, for all namespaces.

    Raises ApiError subclasses, and StoreUnavailableError or UnknownOutcomeError when the store says so.
    """

    def __init__(self, kind: KindDefinition, backend: Backend, snapshots: Snapshots) -> None:
        self.kind = kind
        self.backend = backend
        self._lister = reading.Lister(kind, backend, snapshots)

    async def get(self, namespace: str, name: str, *, resource_version: str = "") -> "CachedObject":
        """Return one object as cached: encoded bytes, parsed on demand. Never mutate it."""
        return await reading.get(self.backend, self.kind, namespace, name, resource_version=resource_version)

    async def list(self, namespace: str, options: ListOptions) -> reading.Listing:
        """Return a page of objects, or all."""
        return await self._lister.list(namespace, options)

    async def create(self, context: RequestContext, namespace: str, body: Body) -> Written:
        """Create an object."""
        return await creating.create(self.backend, context, Target(self.kind, namespace, ""), body)

    async def update(self, context: RequestContext, target: Target, body: Body) -> Written:
        """Replace an object, or what a subresource shows of it ('status', 'ephemeralcontainers')."""
        return await update.update(self.backend, context, target, body)

    async def patch(self, context: RequestContext, target: Target, patch: Patch) -> Written:
        """Patch an object, or what a subresource shows of it ('status', 'ephemeralcontainers')."""
        if patch.media_type == APPLY_PATCH:
            return await applying.apply_patch(self.backend, context, target, patch)
        transform = patch_transform(self.kind, context, patch)
        return await update.modify(self.backend, context, target, transform, with_managers=sees_managers(patch))

    async def delete(self, context: RequestContext, target: Target, options: DeleteOptions) -> Written:
        """Delete an object, or mark it deleted."""
        return await deleting.delete(self.backend, context, target, options)

    async def delete_collection(
        self, context: RequestContext, namespace: str, options: ListOptions, how: DeleteOptions
    ) -> reading.Listing:
        """Delete all selected objects, some at a time; return them as they were. Objects that vanish meanwhile are fine."""
        listing = await self.list(namespace, options)
        queue = list(reversed(listing.items))

        async def work() -> None:
            while queue:
                item = queue.pop()
                try:
                    await self.delete(context, Target(self.kind, item.namespace, item.name), how)
                except NotFoundError:
                    continue

        await _all([work() for _ in range(min(COLLECTION_WORKERS, len(queue)))])
        return listing

    async def get_scale(self, namespace: str, name: str, *, resource_version: str = "") -> dict[str, Any]:
        """Return the Scale that an object shows."""
        cached = await self.get(namespace, name, resource_version=resource_version)
        return scale.scale_of(self.kind, cached.obj)

    async def update_scale(self, context: RequestContext, target: Target, body: Body) -> dict[str, Any]:
        """Set the replicas from a Scale; return the new Scale."""
        written = await scale.update_scale(self.backend, context, target, body)
        return scale.scale_of(self.kind, dict(written.obj))

    async def patch_scale(self, context: RequestContext, target: Target, patch: Patch) -> dict[str, Any]:
        """Patch an object's Scale; return the new Scale."""
        written = await scale.patch_scale(self.backend, context, target, patch)
        return scale.scale_of(self.kind, dict(written.obj))

    async def bind(self, context: RequestContext, target: Target, body: Body) -> None:
        """Bind a pod to a node."""
        await pods.bind(self.backend, context, target, body)

    async def evict(self, context: RequestContext, target: Target, body: Body) -> Written:
        """Evict a pod."""
        return await pods.evict(self.backend, context, target, body)

    async def finalize(self, context: RequestContext, target: Target, body: Body) -> Written:
        """Replace a namespace's own finalizers."""
        return await finalize(self.backend, context, target, body)


async def _all(jobs: Sequence[Any]) -> None:
    """Await jobs together; the first error is raised as it is, not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
