"""A local, always current copy of a collection: list once, then watch, and again from where it broke off.

What can break and what happens then: the watch ends or the connection breaks: watch again from the last version seen;
the server says 410: list again and tell handlers the differences; the watch falls silent for longer than bookmarks
allow: the connection is taken for dead. Waiting between attempts grows and is jittered.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from prometheus_client import Counter

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client, WatchEvent
from windlass.client.indexer import Indexer, IndexFunction, Objects, key_of
from windlass.clock import Clock
from windlass.errors import GoneError, UnavailableError, WindlassError
from windlass.logs import get_logger

Obj = dict[str, Any]
Handler = Callable[[str, Obj | None, Obj | None], None]
"""Called with ADDED (None, new), MODIFIED (old, new) or DELETED (last state, None). Must not block."""

PAGE = 500
LIVENESS_SECONDS = 150.0
WATCH_SECONDS = 600
TICK_SECONDS = 0.001
"""Less than this is no time: a wait for a rounding error would be repeated forever."""
BASE_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 30.0
LISTS = Counter("windlass_informer_lists", "Times an informer listed its collection", ["resource"])
WATCHES = Counter("windlass_informer_watches", "Times an informer opened a watch", ["resource"])
EVENTS = Counter("windlass_informer_events", "Events that an informer got", ["resource", "type"])
log = get_logger(__name__)


class Informer:
    """One collection (or a selected part of it), followed while `run` runs. Objects come without their managed fields."""

    def __init__(  # noqa: PLR0913 - what to follow, each by keyword
        self,
        client: Client,
        resource: Resource,
        *,
        clock: Clock,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        liveness_seconds: float = LIVENESS_SECONDS,
    ) -> None:
        self.resource = resource
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._options: dict[str, Any] = {
            "label_selector": label_selector, "field_selector": field_selector, "metadata_only": metadata_only,
        }
        self._liveness = liveness_seconds
        self._indexer = Indexer()
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._version = ""
        self._heard = 0.0
        self._failures = 0
        self._counts = {"lists": 0, "watches": 0, "events": 0, "errors": 0}

    # -- reading

    def get(self, namespace: str, name: str) -> Obj | None:
        """Return one object as last seen, or None. Never mutate it."""
        return self._indexer.get((namespace, name))

    def list(self, namespace: str = "") -> Objects:
        """Return the objects of a namespace; of all, with ''. Never mutate them."""
        return self._indexer.list(namespace)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index: `function` gives the values under which an object is found by `by_index`."""
        self._indexer.add_index(name, function)

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects that have the value in the index."""
        return self._indexer.by_index(name, value)

    def on_event(self, handler: Handler, *, replay: bool = False) -> Callable[[], None]:
        """Call the handler at every change; `replay` first shows it what is known as ADDED. Returns how to stop it."""
        self._handlers.append(handler)
        if replay:
            for obj in self.list():
                self._call(handler, "ADDED", None, obj)

        def stop() -> None:
            if handler in self._handlers:
                self._handlers.remove(handler)

        return stop

    @property
    def has_synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until the first list is complete and its handlers were called."""
        await self._synced.wait()

    def has_seen(self, resource_version: str) -> bool:
        """Say whether a write of this collection that made that version is in the copy."""
        mine, asked = self._version, resource_version
        return mine.isdecimal() and asked.isdecimal() and int(mine) >= int(asked)

    def statistics(self) -> dict[str, int | str]:
        """Return how many objects are known, at which version, and how often what happened."""
        return {"objects": len(self._indexer), "resourceVersion": self._version, **self._counts}

    # -- following

    async def run(self) -> None:
        """Follow the collection until cancelled. Never ends by itself."""
        while True:
            try:
                if not self._version:
                    await self._relist()
                await self._watch()
                self._failures = 0
            except GoneError:
                log.info("informer_version_expired", resource=self.resource.qualified, version=self._version)
                self._version = ""
                self._failures += 1
            except (WindlassError, OSError, TimeoutError) as error:
                self._failures += 1
                self._counts["errors"] += 1
                log.warning("informer_interrupted", resource=self.resource.qualified, error=repr(error))
            if self._failures:
                await self._clock.sleep(self._delay())

    def _delay(self) -> float:
        longest = min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2.0 ** min(self._failures, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter

    async def _relist(self) -> None:
        """List all pages and tell handlers what differs from what was known."""
        self._counts["lists"] += 1
        LISTS.labels(self.resource.qualified).inc()
        seen, continue_, version = set(), "", ""
        found: list[Obj] = []
        while True:
            page = await self._client.list(
                self.resource, self._namespace, limit=PAGE, continue_=continue_, **self._options
            )
            found += _typed_items(page)
            metadata = page.get("metadata") or {}
            version, continue_ = str(metadata.get("resourceVersion") or ""), metadata.get("continue") or ""
            if not continue_:
                break
        self._version = version  # before handlers hear of it: they may ask what has been seen
        for obj in found:
            seen.add(key_of(obj))
            self._set(obj)
        for key in self._indexer.keys() - seen:
            self._drop(key, None)
        self._synced.set()

    async def _watch(self) -> None:
        """Watch once. Raises UnavailableError when the watch is silent for too long."""
        self._counts["watches"] += 1
        WATCHES.labels(self.resource.qualified).inc()
        self._heard = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._follow()), loop.create_task(self._guard_liveness())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _follow(self) -> None:
        seconds = random.randint(WATCH_SECONDS // 2, WATCH_SECONDS)  # noqa: S311 - jitter, so that not all end at once
        watch = self._client.watch(
            self.resource, self._namespace, resource_version=self._version, timeout_seconds=seconds,
            managed_fields=False, **self._options,
        )
        async with aclosing(watch) as events:
            async for event in events:
                self._heard = self._clock.monotonic()
                self._failures = 0
                self._take(event)

    async def _guard_liveness(self) -> None:
        while True:
            silent = self._clock.monotonic() - self._heard
            if silent >= self._liveness - TICK_SECONDS:
                raise UnavailableError(f"the watch of {self.resource.qualified} was silent for {silent:.0f} s")
            await self._clock.sleep(self._liveness - silent)

    def _take(self, event: WatchEvent) -> None:
        version = str(event.object["metadata"].get("resourceVersion") or "")
        if version:
            self._version = version
        if event.type == "DELETED":
            self._drop(key_of(event.object), event.object)
        elif event.type in {"ADDED", "MODIFIED"}:
            self._set(event.object)
        self._counts["events"] += 1
        EVENTS.labels(self.resource.qualified, event.type).inc()

    def _set(self, obj: Obj) -> None:
        key = key_of(obj)
        old = self._indexer.get(key)
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            self._drop(key, None)
            old = None
        if old is not None and old["metadata"].get("resourceVersion") == obj["metadata"].get("resourceVersion"):
            return
        self._indexer.put(obj)
        self._tell("ADDED" if old is None else "MODIFIED", old, obj)

    def _drop(self, key: tuple[str, str], last: Obj | None) -> None:
        old = self._indexer.remove(key)
        if old is not None:
            self._tell("DELETED", last or old, None)

    def _tell(self, event_type: str, old: Obj | None, new: Obj | None) -> None:
        for handler in list(self._handlers):
            self._call(handler, event_type, old, new)

    def _call(self, handler: Handler, event_type: str, old: Obj | None, new: Obj | None) -> None:
        try:
            handler(event_type, old, new)
        except Exception:
            # One broken handler must neither stop the others nor the copy that they all read.
            log.exception("informer_handler_failed", resource=self.resource.qualified, type=event_type)


def _typed_items(page: Obj) -> list[Obj]:
    """Return a list's items with the apiVersion and kind that lists leave out, and without their managed fields."""
    kind = str(page.get("kind") or "").removesuffix("List")
    typed = {"apiVersion": page.get("apiVersion"), "kind": kind}
    items = page.get("items") or ()
    for item in items:
        item["metadata"].pop("managedFields", None)
    return [{**typed, **item} for item in items]


class InformerFactory:
    """Informers that several users share: one per resource and selection. `run` follows them all, also later ones."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[tuple[Any, ...], Informer] = {}
        self._new: asyncio.Queue[Informer] = asyncio.Queue()

    def informer(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Informer:
        """Return the shared informer of that selection; it starts at once when the factory runs."""
        key = (resource[:3], namespace, label_selector, field_selector, metadata_only)
        informer = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = Informer(
                self._client, resource, clock=self._clock, namespace=namespace, label_selector=label_selector,
                field_selector=field_selector, metadata_only=metadata_only,
            )
            self._new.put_nowait(informer)
        return informer

    async def run(self) -> None:
        """Follow all informers until cancelled. To be run once."""
        async with asyncio.TaskGroup() as group:
            while True:
                informer = await self._new.get()
                group.create_task(informer.run(), name=f"informer {informer.resource.qualified}")

    def statistics(self) -> dict[str, dict[str, int | str]]:
        """Return every informer's statistics by resource."""
        return {informer.resource.qualified: informer.statistics() for informer in self._informers.values()}
