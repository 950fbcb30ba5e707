"""ConfigMaps, Secrets and RuntimeClasses that pods name: read on demand, one request for many pods that start together."""

import asyncio
from typing import Any

from windlass.apis.resources import CONFIGMAPS, RUNTIMECLASSES, SECRETS
from windlass.errors import NotFoundError

Obj = dict[str, Any]
Key = tuple[str, str, str]
"""(kind, namespace, name)."""
RESOURCES = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS, "RuntimeClass": RUNTIMECLASSES}


class ObjectFetcher:
    """Whoever asks while a read is under way shares it. Nothing is kept, so no pod starts with what was there before it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._reading: dict[Key, asyncio.Task[Obj | None]] = {}

    async def __call__(self, kind: str, namespace: str, name: str) -> Obj | None:
        """Return the object, None when there is none. Raises ApiError.

        Whoever is cancelled takes nothing from the others.
        """
        key = (kind, namespace, name)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.ensure_future(self._get(key))
            reading.add_done_callback(lambda task: self._read_done(key, task))
        return await asyncio.shield(reading)

    def _read_done(self, key: Key, task: "asyncio.Task[Obj | None]") -> None:
        del self._reading[key]
        if not task.cancelled():
            task.exception()  # those who waited have raised it; if all of them left, nobody needs it

    async def _get(self, key: Key) -> Obj | None:
        kind, namespace, name = key
        try:
            found: Obj = await self._client.get(RESOURCES[kind], name, namespace)
        except NotFoundError:
            return None
        return found
