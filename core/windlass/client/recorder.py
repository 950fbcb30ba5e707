"""Events: what users should know about their objects, written beside the work and never in its way.

The same news again raises the count of the Event that told it first. One object may tell 25 different things at once
and one more every five minutes after that; what does not fit the queue is dropped and counted.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client
from windlass.clock import Clock, rfc3339, rfc3339_micro
from windlass.errors import ApiError, NotFoundError
from windlass.logs import get_logger

EVENTS = Resource("", "v1", "events")
QUEUE = 2048
KNOWN = 4096
BURST = 25
REFILL_SECONDS = 300.0
ATTEMPTS = 3
DROPPED = Counter("windlass_events_dropped", "Events that were not written, by why", ["component", "reason"])
log = get_logger(__name__)
Key = tuple[str, ...]


@dataclass(slots=True)
class _News:
    event: dict[str, Any]
    count: int = 0
    written: int = 0
    queued: bool = False


@dataclass(slots=True)
class _Bucket:
    filled_at: float
    tokens: float = field(default=BURST)


class EventRecorder:
    """Writes Events of one component while `run` runs."""

    def __init__(self, client: Client, component: str, clock: Clock, *, host: str = "") -> None:
        self._client = client
        self._component = component
        self._clock = clock
        self._host = host or socket.gethostname()
        self._news: OrderedDict[Key, _News] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._queue: asyncio.Queue[_News] = asyncio.Queue(QUEUE)
        self._counts = {"recorded": 0, "written": 0, "dropped": 0}

    def event(self, obj: Mapping[str, Any], event_type: str, reason: str, message: str) -> None:
        """Tell something about an object: `event_type` is Normal or Warning. Never blocks."""
        reference = _reference(obj)
        key = (reference.get("uid", ""), reference.get("namespace", ""), reference.get("name", ""),
               reference.get("fieldPath", ""), event_type, reason, message)
        self._counts["recorded"] += 1
        news = self._news.get(key)
        if news is None:
            if not self._may_tell(":".join(key[:3])):
                self._drop("rate")
                return
            news = self._news[key] = _News(self._new_event(reference, event_type, reason, message))
            while len(self._news) > KNOWN:
                self._news.popitem(last=False)
        self._news.move_to_end(key)
        news.count += 1
        news.event["lastTimestamp"] = rfc3339(self._clock.now())
        if not news.queued:
            self._enqueue(news)

    async def run(self) -> None:
        """Write what was told, until cancelled."""
        while True:
            news = await self._queue.get()
            news.queued = False
            await self._write(news)

    async def flush(self) -> None:
        """Write what waits now, and return."""
        while not self._queue.empty():
            news = self._queue.get_nowait()
            news.queued = False
            await self._write(news)

    def statistics(self) -> dict[str, int]:
        """Return how many events were told, written and dropped, and how many wait."""
        return {**self._counts, "waiting": self._queue.qsize()}

    def _drop(self, reason: str) -> None:
        self._counts["dropped"] += 1
        DROPPED.labels(self._component, reason).inc()

    def _may_tell(self, about: str) -> bool:
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(about, _Bucket(now))
        self._buckets.move_to_end(about)
        while len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.filled_at) / REFILL_SECONDS)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _enqueue(self, news: _News) -> None:
        try:
            self._queue.put_nowait(news)
            news.queued = True
        except asyncio.QueueFull:
            self._drop("queue")

    def _new_event(self, reference: dict[str, Any], event_type: str, reason: str, message: str) -> dict[str, Any]:
        now = self._clock.now()
        stamp = f"{int(now.timestamp() * 1e6) * 1000 + self._counts['recorded'] % 1000:x}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{reference.get('name', '')[:220]}.{stamp}",
                "namespace": reference.get("namespace") or "default",
            },
            "involvedObject": reference,
            "type": event_type,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": self._component, "host": self._host},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
        }

    async def _write(self, news: _News) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._write_once(news)
            except ApiError as error:
                if error.namespace_is_going:  # nobody will look for news there
                    self._drop("namespace_going")
                    return
                last = attempt == ATTEMPTS - 1
                if last or (error.code < 500 and error.code != 429):
                    self._drop("refused")
                    log.warning("event_not_written", reason=news.event["reason"], error=str(error))
                    return
                await self._clock.sleep(2.0**attempt)
            else:
                self._counts["written"] += 1
                return

    async def _write_once(self, news: _News) -> None:
        event, count = news.event, news.count
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        counts = {"count": count, "lastTimestamp": event["lastTimestamp"]}
        if count > 1:
            counts["series"] = {"count": count, "lastObservedTime": rfc3339_micro(self._clock.now())}
        if news.written:
            try:
                await self._client.patch(EVENTS, name, counts, namespace)
            except NotFoundError:
                news.written = 0  # expired meanwhile: tell it anew
        if not news.written:
            await self._client.create(EVENTS, {**event, **counts}, namespace)
        news.written = count


def _reference(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the involvedObject of an object; an ObjectReference (no metadata) is taken as it is."""
    metadata = obj.get("metadata")
    if metadata is None:
        return {key: value for key, value in obj.items() if value}
    found = {
        "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "name": metadata.get("name"),
        "namespace": metadata.get("namespace"), "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {key: value for key, value in found.items() if value}
