"""The ConfigMaps and Secrets that mounted volumes refer to: read at once, then watched one by one, as a node may.

A node may not watch a collection, only the objects that its own pods name. So each object has a watch of its own as long
as some pod holds it, which is what kubelets do. An immutable object needs none.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from windlass.client.informer import Informer
from windlass.clock import Clock
from windlass_hostagent.fetch import RESOURCES, Key, ObjectFetcher

Obj = dict[str, Any]


class WatchedObjects:
    """Reads objects, and tells `on_change` the key of one that is no longer what was read last."""

    def __init__(self, client: Any, clock: Clock, on_change: Callable[[Key], None]) -> None:
        self._client = client
        self._fetch = ObjectFetcher(client)
        self._clock = clock
        self._on_change = on_change
        self._holders: defaultdict[Key, set[str]] = defaultdict(set)
        self._informers: dict[Key, Informer] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._read: dict[Key, str] = {}
        self._group: asyncio.TaskGroup | None = None

    async def fetch(self, holder: str, kind: str, namespace: str, name: str) -> Obj | None:
        """Return the object, None when there is none, and keep watching it for the holder. Raises ApiError."""
        key = (kind, namespace, name)
        informer = self._informers.get(key)
        if informer is not None and informer.has_synced:
            obj = informer.get(namespace, name)
        else:
            obj = await self._fetch(kind, namespace, name)
        self._read[key] = _version(obj)
        if obj is None or not obj.get("immutable"):
            self._hold(holder, key)
        return obj

    def drop(self, holder: str) -> None:
        """Stop watching what only this holder wanted."""
        for key in [key for key, holders in self._holders.items() if holder in holders]:
            self._holders[key].discard(holder)
            if not self._holders[key]:
                self._end(key)

    def watched(self) -> int:
        """Return how many objects are watched."""
        return len(self._holders)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for key in self._holders:
                self._begin(key)
            await asyncio.Event().wait()

    def _hold(self, holder: str, key: Key) -> None:
        new = not self._holders[key]
        self._holders[key].add(holder)
        if new and self._group is not None:
            self._begin(key)

    def _begin(self, key: Key) -> None:
        kind, namespace, name = key
        informer = Informer(
            self._client,
            RESOURCES[kind],
            clock=self._clock,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
        )
        informer.on_event(lambda _type, _old, new: self._compare(key, new))
        self._informers[key] = informer
        assert self._group is not None
        self._tasks[key] = self._group.create_task(self._follow(key, informer), name=f"watch-{kind}-{namespace}-{name}")

    async def _follow(self, key: Key, informer: Informer) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(informer.run())
            await informer.wait_synced()
            # It may have gone between the first read and the list, which tells of no deletion.
            self._compare(key, informer.get(key[1], key[2]))

    def _compare(self, key: Key, obj: Obj | None) -> None:
        if self._read.get(key) != _version(obj):
            self._on_change(key)

    def _end(self, key: Key) -> None:
        del self._holders[key]
        self._read.pop(key, None)
        self._informers.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()


def _version(obj: Obj | None) -> str:
    """Return what tells two states of an object apart; '' when there is none."""
    return f"{obj['metadata'].get('uid', '')}/{obj['metadata'].get('resourceVersion', '')}" if obj else ""
