"""The thin loop that the controllers here share: informers feed a queue of keys, workers reconcile them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from windlass.client.informer import Informer
from windlass.client.reconcile import reconcile_loop
from windlass.client.workqueue import WorkQueue
from windlass.clock import Clock

Obj = dict[str, Any]
Keys = Callable[[Obj], Iterable[str]]
WORKERS = 8


class KeyedLoop:
    """One controller's queue and the informers that feed it. Built with the controller, run once."""

    def __init__(self, name: str, clock: Clock, *, workers: int = WORKERS) -> None:
        self.name = name
        self.queue = WorkQueue(clock)
        self._workers = workers
        self._feeds: list[tuple[Informer, Keys]] = []

    def feed(self, informer: Informer, keys: Keys) -> None:
        """Add to the queue the keys that an object, before or after a change, concerns."""
        self._feeds.append((informer, keys))

    async def run(self, reconcile: Callable[[str], Awaitable[float | None]]) -> None:
        """Wait for the informers, then reconcile whatever there is and whatever changes, until cancelled."""
        stops = []
        try:
            await asyncio.gather(*(informer.wait_synced() for informer, _ in self._feeds))
            stops = [informer.on_event(self._handler(keys), replay=True) for informer, keys in self._feeds]
            await reconcile_loop(self.queue, reconcile, controller=self.name, workers=self._workers)
        finally:
            for stop in stops:
                stop()

    def _handler(self, keys: Keys) -> Callable[[str, Obj | None, Obj | None], None]:
        def handle(_event_type: str, old: Obj | None, new: Obj | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for key in keys(obj):
                        self.queue.add(key)

        return handle


def own_key(obj: Mapping[str, Any]) -> list[str]:
    """Return the key of an object that is itself reconciled."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return [f"{namespace}/{metadata['name']}" if namespace else metadata["name"]]


def split_key(key: str) -> tuple[str, str]:
    """Return namespace ('' for none) and name."""
    namespace, _, name = key.rpartition("/")
    return namespace, name
