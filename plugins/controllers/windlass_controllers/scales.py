"""The `scale` subresource of whatever kind an object names."""

from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client
from windlass.client.discovery import discover
from windlass.clock import Clock
from windlass.errors import NotFoundError

Obj = dict[str, Any]
DISCOVERY_SECONDS = 30.0


class Scales:
    """Reads and writes Scales by apiVersion and kind, which discovery leads to their collections."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._resources: dict[tuple[str, str], Resource] = {}
        self._asked_at = float("-inf")

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Return the collection of a kind. Raises NotFoundError for a kind that nobody serves.

        Any version of the group will do, as a reference may be older than what is served.
        """
        group = api_version.rpartition("/")[0]
        if (group, kind) not in self._resources and self._clock.monotonic() - self._asked_at >= DISCOVERY_SECONDS:
            found = await discover(self._client)
            self._asked_at = self._clock.monotonic()
            for item in found.resources:
                self._resources.setdefault((item.resource.group, item.kind), item.resource)
        if (group, kind) not in self._resources:
            raise NotFoundError(f'no matches for kind "{kind}" in group "{group}"')
        return self._resources[group, kind]

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Obj:
        """Return an object's Scale. Raises NotFoundError, with the name in its details when only the object is missing."""
        resource = await self.resource(api_version, kind)
        try:
            return await self._client.get(resource, name, namespace, subresource="scale")
        except NotFoundError as error:
            if error.details.name:
                raise
            raise NotFoundError(f"{resource.qualified} does not implement the scale subresource") from error

    async def set_replicas(self, api_version: str, kind: str, scale: Obj, replicas: int) -> Obj:
        """Ask for that many replicas, if the object is still as its Scale was read. Raises ApiError."""
        resource = await self.resource(api_version, kind)
        wanted = {**scale, "spec": {**(scale.get("spec") or {}), "replicas": replicas}}
        return await self._client.update(resource, wanted, subresource="scale")
