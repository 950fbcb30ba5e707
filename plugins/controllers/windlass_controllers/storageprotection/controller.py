"""Keeps claims while pods use them, and volumes while claims are bound to them."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.apis.core.v1.claimed_volumes import claims_of
from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS
from windlass.client.client import Client
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.storageprotection.plan import (
    CLAIM_FINALIZER,
    VOLUME_FINALIZER,
    is_used,
    wanted_finalizers,
)

Obj = dict[str, Any]
USED_CLAIMS = "used-claims"


def _claim_keys(pod: Mapping[str, Any]) -> list[str]:
    return [f"{pod['metadata'].get('namespace', '')}/{name}" for name, _ in claims_of(pod)]


async def _write(client: Client, resource: Resource, obj: Obj, finalizers: list[str]) -> None:
    metadata = {**obj["metadata"], "finalizers": finalizers}
    try:
        await client.update(resource, {**obj, "metadata": metadata})
    except NotFoundError:
        return  # gone already


class ClaimProtection:
    """One key is one claim."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._claims = context.informers.informer(PERSISTENTVOLUMECLAIMS)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(USED_CLAIMS, _claim_keys)
        self.loop = KeyedLoop("persistentvolumeclaim-protection", context.clock)
        self.loop.feed(self._claims, own_key)
        self.loop.feed(self._pods, _claim_keys)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, key: str) -> float | None:
        """Give a claim its finalizer, or take it away when the claim may go."""
        claim = self._claims.get(*split_key(key))
        if claim is None:
            return None
        used = is_used(claim, self._pods.by_index(USED_CLAIMS, key))
        finalizers = wanted_finalizers(claim, CLAIM_FINALIZER, used=used)
        if finalizers is None:
            return None
        if CLAIM_FINALIZER not in finalizers and await self._is_used_after_all(claim):
            return 1.0
        await _write(self._client, PERSISTENTVOLUMECLAIMS, claim, finalizers)
        return None

    async def _is_used_after_all(self, claim: Obj) -> bool:
        """Ask the API server: a pod may be bound that our copy does not show yet."""
        found = await self._client.list(PODS, claim["metadata"]["namespace"])
        return is_used(claim, found["items"])


class VolumeProtection:
    """One key is one volume."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._volumes = context.informers.informer(PERSISTENTVOLUMES)
        self.loop = KeyedLoop("persistentvolume-protection", context.clock)
        self.loop.feed(self._volumes, own_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, name: str) -> float | None:
        """Give a volume its finalizer, or take it away when the volume may go."""
        volume = self._volumes.get("", name)
        if volume is None:
            return None
        bound = (volume.get("status") or {}).get("phase") == "Bound"
        finalizers = wanted_finalizers(volume, VOLUME_FINALIZER, used=bound)
        if finalizers is not None:
            await _write(self._client, PERSISTENTVOLUMES, volume, finalizers)
        return None
