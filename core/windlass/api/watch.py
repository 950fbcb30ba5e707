"""Watches: events of one kind as JSON lines, encoded once and shared by all watchers.

Each watch is two tasks. The pump takes everything that is pending and sends it as one write; when there are many watches
it pauses a moment between writes, so that the cost per event falls as the load rises. The ticker sends bookmarks and ends
the watch at its deadline. A client that does not read is cut off: by the cache when its buffer overflows, or here when a
write does not get through.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.api.config import ApiConfig
from windlass.api.negotiation import negotiate
from windlass.api.rendering import Renderer, shown
from windlass.api.request import ApiRequest
from windlass.api.response import SendChunk, Stream, as_api_error
from windlass.apimachinery.scheme import KindDefinition
from windlass.apimachinery.status import to_status
from windlass.clock import Clock
from windlass.errors import BadRequestError, CompactedError, FieldError, GoneError
from windlass.logs import get_logger
from windlass.registry.generic import Registry
from windlass.registry.options import ListOptions
from windlass.registry.reading import Selection, parse_revision, parse_selection, wait_for_version
from windlass.registry.refusals import expired, invalid
from windlass.store.watchcache import CachedObject, CacheEvent, SlowWatcherError, Watcher

SEND_TIMEOUT_SECONDS = 30.0
BATCH_BYTES = 256 * 1024
CROWD = 50
PAUSE_PER_WATCH_SECONDS = 0.0001
MAX_PAUSE_SECONDS = 0.1
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch request says. `initial`: send what exists first; `announce_end`: then a bookmark that says so."""

    selection: Selection
    since: int | None
    initial: bool
    announce_end: bool
    bookmarks: bool
    timeout_seconds: float


class WatchHandler:
    """Starts watches and knows how many there are."""

    def __init__(self, config: ApiConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.active = 0

    @property
    def pause_seconds(self) -> float:
        """How long a pump waits between two writes, so that events gather."""
        return 0.0 if self.active < CROWD else min(self.active * PAUSE_PER_WATCH_SECONDS, MAX_PAUSE_SECONDS)

    async def handle(self, request: ApiRequest, registry: Registry) -> Stream:
        """Check a watch request and return its stream. Raises 400, 410, 422, 504 before anything is sent."""
        representation = negotiate(request.header(b"accept").replace(";stream=watch", ""))
        renderer = Renderer(registry.kind, representation, self.clock, include=request.value("includeObject"))
        if representation.yaml:
            raise BadRequestError("a watch can only be sent as JSON")
        options = await self._options(request, registry)
        watch = _open(self, registry, renderer, options)
        return Stream(watch.run, content_type=renderer.representation.content_type, close=watch.close)

    async def _options(self, request: ApiRequest, registry: Registry) -> WatchOptions:
        fields = request.value("fieldSelector")
        if request.path.name:
            fields = ",".join(filter(None, (fields, f"metadata.name={request.path.name}")))
        listing = ListOptions(label_selector=request.value("labelSelector"), field_selector=fields)
        selection = parse_selection(registry.kind, request.path.namespace, listing)
        version, asked = request.value("resourceVersion"), request.flag("sendInitialEvents")
        _check_initial(registry.kind, request.value("resourceVersionMatch"), asked=asked)
        timeout = request.integer("timeoutSeconds") or 0
        minimum = self.config.min_watch_timeout_seconds
        bookmarks = bool(request.flag("allowWatchBookmarks"))
        wants_initial = version in ("", "0") if asked is None else asked
        if asked and version == "0":
            await registry.backend.cache.read_barrier(registry.backend.barrier_timeout_seconds)
        await wait_for_version(registry.backend, version)
        return WatchOptions(
            selection,
            since=None if wants_initial or version in ("", "0") else parse_revision(version),
            initial=wants_initial,
            announce_end=bool(asked) and bookmarks,
            bookmarks=bookmarks,
            timeout_seconds=timeout if timeout > 0 else minimum * (1 + random.random()),  # noqa: S311 - spreads load
        )


def _check_initial(kind: KindDefinition, match: str, *, asked: bool | None) -> None:
    if asked is None and match:
        problem = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    elif asked is not None and match != "NotOlderThan":
        problem = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    else:
        return
    raise invalid(kind, "", [FieldError("resourceVersionMatch", problem, "FieldValueForbidden")])


def _open(handler: WatchHandler, registry: Registry, renderer: Renderer, options: WatchOptions) -> "Watch":
    """Take the initial objects and the watcher at one moment: nothing is awaited in between."""
    cache = registry.backend.cache
    kind_cache = cache.kind_cache(registry.kind)
    selection = options.selection
    since = cache.revision if options.since is None else options.since
    initial: Iterable[CachedObject] = ()
    if options.initial:
        initial = kind_cache.select(selection.namespace, selection.labels, selection.fields, 0, "")[0]
    try:
        watcher = kind_cache.watch(since, selection.namespace, selection.labels, selection.fields)
    except CompactedError as error:
        raise too_old(since, error) from error
    return Watch(handler, watcher, _Lines(renderer), options, (initial, since, lambda: cache.revision))


def too_old(since: int, error: CompactedError) -> GoneError:
    """Return the 410 for a revision that history no longer reaches."""
    return expired(f"too old resource version: {since} ({error})")


class _Lines:
    """Encodes events. For plain objects the line is made once for all watchers, by the cache."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._kind = renderer.kind
        self._first = True

    def added(self, cached: CachedObject) -> bytes:
        """Return the line of an object that was there before the watch."""
        if self._renderer.plain:
            return b'{"type":"ADDED","object":%b}\n' % cached.encoded
        return self._viewed("ADDED", shown(self._kind, cached))

    def event(self, event: CacheEvent) -> bytes:
        """Return the line of one event."""
        if self._renderer.plain:
            return event.line
        return self._viewed(event.type, shown(self._kind, event.object))

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """Return a bookmark line."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}
        form = self._renderer.representation.form
        if form == "Table":
            table: dict[str, Any] = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "columnDefinitions": None,
                "rows": [],
            }
            return _line("BOOKMARK", table)
        return _line("BOOKMARK", self._renderer.view(obj))

    def error(self, error: BaseException) -> bytes:
        """Return an ERROR line."""
        return _line("ERROR", to_status(as_api_error(error)))

    def _viewed(self, event_type: str, obj: Mapping[str, Any]) -> bytes:
        line = _line(event_type, self._renderer.view(obj, with_columns=self._first))
        self._first = False
        return line


def _line(event_type: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": event_type, "object": obj}) + b"\n"


class Watch:
    """One running watch."""

    def __init__(
        self,
        handler: WatchHandler,
        watcher: Watcher,
        lines: _Lines,
        options: WatchOptions,
        start: tuple[Iterable[CachedObject], int, Callable[[], int]],
    ) -> None:
        self._handler = handler
        self._watcher = watcher
        self._lines = lines
        self._options = options
        self._initial, self._delivered, self._current_revision = start
        self._waiting = False

    async def run(self, send: SendChunk) -> None:
        """Send events until the deadline, an error, or cancellation."""
        self._handler.active += 1
        try:
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(self._pump(send))
                ticker = group.create_task(self._tick(send, pump))
                pump.add_done_callback(lambda _done: ticker.cancel())
        finally:
            self._handler.active -= 1

    async def close(self) -> None:
        """Let go of the cache, also when `run` was never called."""
        self._watcher.close()

    async def _pump(self, send: SendChunk) -> None:
        try:
            await self._send_initial(send)
            while batch := await self._next_batch():
                for chunk in _chunks(self._lines.event(event) for event in batch):
                    await _deliver(send, chunk)
                self._delivered = batch[-1].revision
                if pause := self._handler.pause_seconds:
                    await self._handler.clock.sleep(pause)
        except CompactedError as error:
            await _deliver(send, self._lines.error(too_old(self._delivered, error)))
        except SlowWatcherError as error:
            log.warning("watch_too_slow", error=str(error))
            await _deliver(send, self._lines.error(expired(f"the watch fell behind and was closed: {error}")))

    async def _next_batch(self) -> list[CacheEvent]:
        self._waiting = True
        try:
            return await self._watcher.next_batch()
        finally:
            self._waiting = False

    async def _send_initial(self, send: SendChunk) -> None:
        for chunk in _chunks(self._lines.added(cached) for cached in self._initial):
            await _deliver(send, chunk)
        self._initial = ()
        if self._options.announce_end:
            await _deliver(send, self._lines.bookmark(self._delivered, initial_end=True))

    async def _tick(self, send: SendChunk, pump: "asyncio.Task[None]") -> None:
        """Send bookmarks until the deadline, then end the pump."""
        clock = self._handler.clock
        deadline = clock.monotonic() + self._options.timeout_seconds
        while (left := deadline - clock.monotonic()) > 0:
            await clock.sleep(min(left, self._handler.config.bookmark_interval_seconds))
            if self._options.bookmarks and self._waiting and clock.monotonic() < deadline:
                # Nothing is pending, so everything up to the cache's revision has been sent.
                revision = self._delivered if self._watcher.pending else self._current_revision()
                await _deliver(send, self._lines.bookmark(revision))
        pump.cancel()


def _chunks(lines: Iterable[bytes]) -> Iterable[bytes]:
    """Join lines into writes of a bounded size."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


async def _deliver(send: SendChunk, chunk: bytes) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await send(chunk)
