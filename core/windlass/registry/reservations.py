"""Reservations: one key of the store per address or port that is given out, so that none is given out twice.

The key is created before the object that holds the thing and deleted after it, both conditionally: however many API
servers there are, the store lets one of them win. A server killed in between leaks a reservation and never doubles one;
`service_repair` gives back what leaked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.clock import rfc3339
from windlass.errors import KeyExistsError, RevisionMismatchError
from windlass.registry.backend import Backend
from windlass.store.interface import Stored

GROUP = "windlass.dev"
ADDRESSES = "clusterips"
NODE_PORTS = "nodeports"


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that holds a reservation."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation as stored."""

    resource: str
    value: str
    owner: Owner
    made: str
    revision: int


def key_of(resource: str, value: str) -> str:
    """Return the store's key of an address or port."""
    return f"{GROUP}/{resource}/_/{value}"


def encode_reservation(value: str, owner: Owner, made: str) -> bytes:
    """Encode; in the shape of an object, as everything in the store is."""
    who = {"namespace": owner.namespace, "name": owner.name, "uid": owner.uid}
    return orjson.dumps({"metadata": {"name": value, "creationTimestamp": made}, "owner": who})


def decode_reservation(resource: str, stored: Stored) -> Held:
    """Decode what the store has."""
    obj: dict[str, Any] = orjson.loads(stored.value)
    who = obj["owner"]
    owner = Owner(who["namespace"], who["name"], who["uid"])
    return Held(resource, obj["metadata"]["name"], owner, obj["metadata"]["creationTimestamp"], stored.revision)


class Reservations:
    """All reservations of one sort."""

    def __init__(self, backend: Backend, resource: str) -> None:
        self._backend = backend
        self.resource = resource

    async def find(self, value: str) -> Held | None:
        """Return who holds a value; None when it is free."""
        stored = await self._backend.store.get(key_of(self.resource, value))
        return decode_reservation(self.resource, stored) if stored else None

    async def take(self, value: str, owner: Owner) -> bool:
        """Reserve a value. False when somebody else holds it; what the owner holds already is fine."""
        made = rfc3339(self._backend.clock.now())
        try:
            await self._backend.store.create(key_of(self.resource, value), encode_reservation(value, owner, made))
        except KeyExistsError:
            held = await self.find(value)
            return held is not None and held.owner.uid == owner.uid
        return True

    async def give_back(self, value: str, uid: str) -> None:
        """Free a value that the object with this uid holds; fine when it does not."""
        held = await self.find(value)
        if held is not None and held.owner.uid == uid:
            await self.drop(held)

    async def drop(self, held: Held) -> bool:
        """Free a reservation as it was read. False when it has changed since."""
        try:
            await self._backend.store.delete(key_of(self.resource, held.value), revision=held.revision)
        except RevisionMismatchError:
            return False
        return True

    async def all(self) -> list[Held]:
        """Return every reservation."""
        prefix, found, after = f"{GROUP}/{self.resource}/", list[Held](), ""
        while True:
            page = await self._backend.store.list(prefix, limit=500, after=after)
            found += [decode_reservation(self.resource, stored) for stored in page.items]
            if not page.more:
                return found
            after = page.items[-1].key

    def taken(self) -> "Taken":
        """Return what the cache knows to be held: a hint that saves attempts, never the truth."""
        return Taken(self._backend, self.resource)


class Taken:
    """The cache's view of reserved values."""

    def __init__(self, backend: Backend, resource: str) -> None:
        self._backend, self._resource = backend, resource

    def __contains__(self, value: object) -> bool:
        """Whether the cache knows a reservation."""
        return self._backend.cache.lookup(key_of(self._resource, str(value))) is not None

    def __iter__(self) -> Iterator[str]:
        """Nobody asks for all of them."""
        return iter(())

    def __len__(self) -> int:
        """Nobody counts them."""
        return 0
