"""ConfigMaps, Secrets and RuntimeClasses that pods name: read on demand, one request for many pods that start together."""

import asyncio
from typing import Any

from windlass.apis.resources import CONFIGMAPS, RUNTIMECLASSES, SECRETS
from windlass.clock import Clock
from windlass.errors import NotFoundError

Obj = dict[str, Any]
KEEP_SECONDS = 1.0
MAX_ENTRIES = 256
_RESOURCES = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS, "RuntimeClass": RUNTIMECLASSES}


class ObjectFetcher:
    """Reads through a cache of one second, bounded, so that secrets do not linger in the agent's memory."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[float, Obj | None]] = {}
        self._locks: dict[tuple[str, str, str], asyncio.Lock] = {}

    async def __call__(self, kind: str, namespace: str, name: str) -> Obj | None:
        """Return the object, None when there is none. Raises ApiError."""
        key = (kind, namespace, name)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            now = self._clock.monotonic()
            kept = self._kept.get(key)
            if kept is not None and now - kept[0] < KEEP_SECONDS:
                return kept[1]
            try:
                obj: Obj | None = await self._client.get(_RESOURCES[kind], name, namespace)
            except NotFoundError:
                obj = None
            self._keep(key, now, obj)
            return obj

    def _keep(self, key: tuple[str, str, str], now: float, obj: Obj | None) -> None:
        """Remember one answer and drop the old ones."""
        for old in [k for k, (at, _) in self._kept.items() if now - at >= KEEP_SECONDS]:
            del self._kept[old]
            if old != key and not self._locks[old].locked():
                del self._locks[old]
        if len(self._kept) < MAX_ENTRIES:
            self._kept[key] = (now, obj)
