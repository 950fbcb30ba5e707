"""The watch cache: everything in the store, encoded once, followed change by change.

One follower of the store feeds one `KindCache` per stored kind. Reads and watches are served from here; a consistent
read first waits behind `read_barrier`. A bad value in the store (not JSON, no name) is counted, named in the log and
left out: it must not hide its neighbours.
"""

import asyncio
import heapq
from collections import Counter
from itertools import count

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.scheme import KindDefinition, Scheme
from windlass.clock import Clock
from windlass.errors import CompactedError, StoreUnavailableError
from windlass.logs import get_logger
from windlass.store.cached import CachedObject, CacheEvent, selectable
from windlass.store.interface import Change, ChangeType, Progress, Store, Stored
from windlass.store.kindcache import KindCache
from windlass.store.watcher import SlowWatcherError, Watcher

__all__ = ["CacheEvent", "CachedObject", "KindCache", "SlowWatcherError", "WatchCache", "Watcher"]
LIST_PAGE = 500
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
log = get_logger(__name__)


class WatchCache:
    """Follows a store for all kinds of a scheme. `run` must be running for anything to be fresh."""

    def __init__(self, store: Store, scheme: Scheme, clock: Clock) -> None:
        self._store = store
        self._scheme = scheme
        self._clock = clock
        self._caches: dict[str, KindCache] = {}
        self._kinds: dict[str, list[KindDefinition]] = {}
        self.revision = 0
        self._newest = 0
        self.bad_values: Counter[str] = Counter()
        self._synced = asyncio.Event()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._barrier: asyncio.Task[None] | None = None
        self._next_barrier: asyncio.Task[None] | None = None

    def kind_cache(self, kind: KindDefinition) -> KindCache:
        """Return the cache of a kind; kinds that share stored objects share it."""
        return self._cache(kind.storage_prefix)

    def lookup(self, key: str) -> CachedObject | None:
        """Return what the cache has under a store's key. Raises ValueError for a key of another shape."""
        prefix, position = split_key(key)
        namespace, _, name = position.partition("/")
        return self._cache(prefix).get(namespace, name)

    async def run(self) -> None:
        """Follow the store until cancelled. An unreachable store is retried; lost history means a new listing."""
        start: int | None = None
        failures = 0
        while True:
            try:
                if start is None:
                    start = await self._relist()
                async for item in self._store.watch(max(start, self.revision)):
                    self._apply(item)
                    failures = 0
            except CompactedError as error:
                log.warning("watch_cache_relists", reason=str(error))
                self._synced.clear()
                start = None
            except StoreUnavailableError as error:
                log.warning("watch_cache_waits_for_store", reason=str(error))
            await self._clock.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def wait_synced(self) -> None:
        """Wait until the first listing is complete."""
        await self._synced.wait()

    async def wait_revision(self, revision: int, timeout_seconds: float) -> None:
        """Wait until everything up to a revision is here. Raises TimeoutError."""
        if self.revision >= revision and self._synced.is_set():
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._numbers), waiter))
        async with asyncio.timeout(timeout_seconds):
            await waiter

    async def read_barrier(self, timeout_seconds: float) -> None:
        """Wait until all that was committed before this call is here. Raises StoreUnavailableError.

        Callers that arrive while a barrier is under way share the next one.
        """
        known = self._store.known_revision
        if known is not None and known <= self.revision and self._synced.is_set():
            return
        if self._next_barrier is None:
            self._next_barrier = asyncio.create_task(self._run_barrier(self._barrier))
            self._next_barrier.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.shield(self._next_barrier)
        except TimeoutError:
            raise StoreUnavailableError(
                f"the store did not confirm a consistent read within {timeout_seconds:g} s"
            ) from None

    async def _run_barrier(self, previous: "asyncio.Task[None] | None") -> None:
        if previous is not None and not previous.done():
            await asyncio.wait((previous,))
        self._barrier, self._next_barrier = self._next_barrier, None
        revision = await self._store.barrier()
        await self.wait_revision(revision, 3600)

    def statistics(self) -> dict[str, int]:
        """Return counts for metrics: objects per stored kind, bad values."""
        sizes = {prefix.rstrip("/"): len(cache) for prefix, cache in self._caches.items()}
        return {**sizes, "badValues": self.bad_values.total()}

    def _cache(self, prefix: str) -> KindCache:
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = KindCache()
            cache.begin_history(self._newest)  # a change since the listing would have made the cache
        return cache

    def _kinds_of(self, prefix: str) -> list[KindDefinition]:
        kinds = self._kinds.get(prefix)
        if kinds is None:
            kinds = self._kinds[prefix] = [kind for kind in self._scheme if kind.storage_prefix == prefix]
        return kinds

    async def _relist(self) -> int:
        """Read the whole store; return the revision to follow from."""
        for cache in self._caches.values():
            cache.reset(self.revision)
        self.revision, start, newest, after = 0, None, 0, ""
        while True:
            page = await self._store.list("", limit=LIST_PAGE, after=after)
            start = page.revision if start is None else start
            newest = max(newest, page.revision)
            for stored in page.items:
                newest = max(newest, stored.revision)
                self._put(stored)
            if not page.more:
                break
            after = page.items[-1].key
        for cache in self._caches.values():
            cache.begin_history(newest)
        self._newest = newest
        self._advance(start)
        return start

    def _put(self, stored: Stored) -> None:
        place = self._place(stored.key)
        if place is None:
            return
        prefix, position = place
        cached = self._decode(prefix, stored.key, stored.value, stored.revision, stored.create_revision)
        if cached is not None:
            self._cache(prefix).put(position, cached)

    def _apply(self, item: Change | Progress) -> None:
        place = self._place(item.key) if isinstance(item, Change) else None
        if isinstance(item, Change) and place is not None:
            prefix, position = place
            new = None
            if item.type is ChangeType.PUT:
                new = self._decode(prefix, item.key, item.value, item.revision, item.create_revision)
            # A bad value takes the place of what was there: that one is no longer true.
            self._cache(prefix).apply(position, new, item.revision)
        self._advance(item.revision)

    def _place(self, key: str) -> tuple[str, str] | None:
        try:
            return split_key(key)
        except ValueError:
            self._note_bad(key, "its key is not group/plural/namespace/name")
            return None

    def _note_bad(self, key: str, error: str) -> None:
        self.bad_values[key] += 1
        log.warning("bad_value_in_store", key=key, error=error)

    def _decode(self, prefix: str, key: str, value: bytes, revision: int, create_revision: int) -> CachedObject | None:
        try:
            obj, managed = envelope.parse(value)
            return CachedObject(obj, selectable(self._kinds_of(prefix), obj), revision, create_revision, managed)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._note_bad(key, str(error))
            return None

    def _advance(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        if not self._synced.is_set() and self.revision >= self._newest:
            self._synced.set()
        if self._synced.is_set():
            while self._waiters and self._waiters[0][0] <= self.revision:
                waiter = heapq.heappop(self._waiters)[2]
                if not waiter.done():
                    waiter.set_result(None)


def split_key(key: str) -> tuple[str, str]:
    """Split a store key into its kind's prefix and the position in it: `core/pods/`, `default/web-1`.

    Raises ValueError for a key of another shape.
    """
    group, plural, namespace, name = key.split("/", 3)
    return f"{group}/{plural}/", f"{'' if namespace == '_' else namespace}/{name}"
