"""What a test does with objects, by the names that kubectl uses. Runs in the cluster's loop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client
from windlass.client.discovery import DiscoveredResource, discover
from windlass.errors import AlreadyExistsError, NotFoundError
from windlass.testing.clock import FakeClock

Obj = dict[str, Any]
STEP_SECONDS = 0.5
"""How far a virtual clock moves between two looks."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An object and what must be true of it."""

    plural: str
    name: str
    namespace: str
    condition: Callable[[Obj], Any]

    def holds(self, obj: Obj) -> bool:
        """Say whether it is true; a field that is not there yet makes it false."""
        try:
            return bool(self.condition(obj))
        except (KeyError, IndexError):
            return False

    def missed(self, last: Obj, seconds: float) -> TimeoutError:
        """Return the error that tells what the object was when time ran out."""
        return TimeoutError(f"{self.plural} {self.namespace}/{self.name} was not so within {seconds:g} s: {last}")


async def _find(client: Client, fits: Callable[[DiscoveredResource], bool], sought: str) -> Resource:
    found = next((one.resource for one in (await discover(client)).resources if fits(one)), None)
    if found is None:
        raise NotFoundError(f"the cluster serves no {sought}")
    return found


async def resource_of(client: Client, plural: str) -> Resource:
    """Return the collection of that name, `pods` or `deployments.apps`. Raises NotFoundError."""
    return await _find(client, lambda one: plural in (one.resource.plural, one.resource.qualified), plural)


def _place(resource: Resource, namespace: str) -> str:
    return namespace if resource.namespaced else ""


async def apply_all(client: Client, manifests: Sequence[Mapping[str, Any]]) -> list[Obj]:
    """Create each object, or merge it into the one that is there."""
    return [await _apply(client, dict(manifest)) for manifest in manifests]


async def _apply(client: Client, manifest: Obj) -> Obj:
    version, kind = manifest["apiVersion"], manifest["kind"]
    resource = await _find(
        client, lambda one: one.kind == kind and one.resource.api_version == version, f"{version} {kind}"
    )
    metadata = manifest["metadata"]
    namespace = _place(resource, metadata.get("namespace") or "default")
    try:
        return await client.create(resource, manifest, namespace)
    except AlreadyExistsError:
        return await client.patch(resource, metadata["name"], manifest, namespace)


async def get(client: Client, plural: str, name: str, namespace: str) -> Obj:
    """Return one object. Raises NotFoundError."""
    resource = await resource_of(client, plural)
    return await client.get(resource, name, _place(resource, namespace))


async def list_all(client: Client, plural: str, namespace: str, label_selector: str) -> list[Obj]:
    """Return the objects of a collection."""
    resource = await resource_of(client, plural)
    found = await client.list(resource, _place(resource, namespace), label_selector=label_selector)
    items: list[Obj] = found["items"]
    return items


async def delete(client: Client, plural: str, name: str, namespace: str) -> None:
    """Delete one object. Raises NotFoundError."""
    resource = await resource_of(client, plural)
    await client.delete(resource, name, _place(resource, namespace))


async def wait_watching(client: Client, sought: Sought, seconds: float) -> Obj:
    """Follow a watch until the condition holds. Raises TimeoutError."""
    last: Obj = {}
    try:
        async with asyncio.timeout(seconds):
            resource = await resource_of(client, sought.plural)
            namespace, selector = _place(resource, sought.namespace), f"metadata.name={sought.name}"
            found = await client.list(resource, namespace, field_selector=selector)
            last = next(iter(found["items"]), {})
            if sought.holds(last):
                return last
            watch = client.watch(
                resource, namespace, field_selector=selector, resource_version=found["metadata"]["resourceVersion"]
            )
            async with aclosing(watch) as events:
                async for event in events:
                    if event.type == "BOOKMARK":
                        continue
                    last = {} if event.type == "DELETED" else event.object
                    if sought.holds(last):
                        return last
    except TimeoutError:
        raise sought.missed(last, seconds) from None
    raise sought.missed(last, seconds)


async def wait_virtually(client: Client, sought: Sought, clock: FakeClock, seconds: float) -> Obj:
    """Look, let everything have its turn, look again; move time when nothing comes of it. Raises TimeoutError."""
    resource = await resource_of(client, sought.plural)
    end = clock.monotonic() + seconds
    last: Obj = {}
    while clock.monotonic() < end:
        try:
            last = await client.get(resource, sought.name, _place(resource, sought.namespace))
        except NotFoundError:
            last = {}
        if sought.holds(last):
            return last
        await clock.advance(STEP_SECONDS)
    raise sought.missed(last, seconds)
