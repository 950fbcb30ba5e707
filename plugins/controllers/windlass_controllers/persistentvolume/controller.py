"""Binds claims and volumes to each other."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from windlass.apis.core.v1.claimed_volumes import BIND_COMPLETED, annotations
from windlass.apis.resources import NODES, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from windlass.clock import rfc3339
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.expectations import Expectations
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.persistentvolume.matching import claim_ref, has_class, is_free
from windlass_controllers.persistentvolume.plan import View, plan_claim, plan_volume
from windlass_controllers.persistentvolume.steps import Step, Telling, class_key, phase_of

Obj = dict[str, Any]
CLAIM, VOLUME = "claim:", "volume:"
CLAIM_INDEX, WAITING_INDEX = "claim", "waiting"
NO_CLASS_KEY = "no class"
TELL_AGAIN_SECONDS = 900.0
REMEMBERED = 4096


def _claim_key(volume: Mapping[str, Any]) -> list[str]:
    reference = claim_ref(volume)
    return [f"{reference.get('namespace')}/{reference.get('name')}"] if reference else []


def _volume_index(volume: Mapping[str, Any]) -> list[str]:
    """Index volumes by the claim that they name, those that any may have by class."""
    return [f"claim/{key}" for key in _claim_key(volume)] or [class_key(volume)]


def _waiting_index(claim: Mapping[str, Any]) -> list[str]:
    """Index claims that are not bound for good by class, and by the volume that they name."""
    if BIND_COMPLETED in annotations(claim):
        return [f"volume/{claim['spec'].get('volumeName')}"]
    name = claim["spec"].get("volumeName")
    return [f"volume/{name}"] if name else [class_key(claim), *([] if has_class(claim) else [NO_CLASS_KEY])]


class PersistentVolumeBinder:
    """One key is one claim or one volume."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        informers = context.informers
        self._claims = informers.informer(PERSISTENTVOLUMECLAIMS)
        self._volumes = informers.informer(PERSISTENTVOLUMES)
        self._classes = informers.informer(STORAGECLASSES)
        self._nodes = informers.informer(NODES)
        self._volumes.add_index(CLAIM_INDEX, _volume_index)
        self._claims.add_index(WAITING_INDEX, _waiting_index)
        self._written = {
            PERSISTENTVOLUMECLAIMS: Expectations(self._claims, context.clock),
            PERSISTENTVOLUMES: Expectations(self._volumes, context.clock),
        }
        self._told: OrderedDict[str, tuple[Telling, float]] = OrderedDict()
        self._view = View(
            volume=lambda name: self._volumes.get("", name),
            candidates=self._candidates,
            classes=self._classes.list,
            storage_class=lambda name: self._classes.get("", name),
            node=lambda name: self._nodes.get("", name),
        )
        self.loop = KeyedLoop("persistentvolume-binder", context.clock)
        self.loop.feed(self._claims, self._keys_of_claim)
        self.loop.feed(self._volumes, self._keys_of_volume)
        self.loop.feed(self._classes, self._keys_of_class)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        await self.loop.run(self.reconcile)

    # -- what concerns whom

    def _keys_of_claim(self, claim: Obj) -> list[str]:
        (key,) = own_key(claim)
        named = claim["spec"].get("volumeName")
        volumes = {volume["metadata"]["name"] for volume in self._volumes.by_index(CLAIM_INDEX, f"claim/{key}")}
        if named:
            volumes.add(named)
        return [f"{CLAIM}{key}", *(f"{VOLUME}{name}" for name in volumes)]

    def _keys_of_volume(self, volume: Obj) -> list[str]:
        keys = [f"{VOLUME}{volume['metadata']['name']}", *(f"{CLAIM}{key}" for key in _claim_key(volume))]
        waiting = self._claims.by_index(WAITING_INDEX, f"volume/{volume['metadata']['name']}")
        if is_free(volume):
            waiting += self._claims.by_index(WAITING_INDEX, class_key(volume))
        return keys + [f"{CLAIM}{key}" for claim in waiting for key in own_key(claim)]

    def _keys_of_class(self, storage_class: Obj) -> list[str]:
        waiting = [
            *self._claims.by_index(WAITING_INDEX, f"class/{storage_class['metadata']['name']}"),
            *self._claims.by_index(WAITING_INDEX, NO_CLASS_KEY),
        ]
        return [f"{CLAIM}{key}" for claim in waiting for key in own_key(claim)]

    def _candidates(self, claim: Any) -> list[Obj]:
        (key,) = own_key(claim)
        return self._volumes.by_index(CLAIM_INDEX, f"claim/{key}") + self._volumes.by_index(CLAIM_INDEX, class_key(claim))

    # -- one step

    async def reconcile(self, key: str) -> float | None:
        """Bring one claim or volume a step on. What was written comes back as an event and calls for the next."""
        if not all(written.are_met(key) for written in self._written.values()):
            return 1.0
        name = key.removeprefix(CLAIM)
        if name == key:
            return await self._reconcile_volume(key)
        claim = self._claims.get(*split_key(name))
        if claim is None:
            self._forget(key)
            return None
        return await self._take(key, claim, plan_claim(claim, self._view, self._now()))

    async def _reconcile_volume(self, key: str) -> float | None:
        volume = self._volumes.get("", key.removeprefix(VOLUME))
        if volume is None:
            self._forget(key)
            return None
        return await self._take(key, volume, plan_volume(volume, await self._claim_of(volume), self._now()))

    async def _claim_of(self, volume: Obj) -> Obj | None:
        """Return the claim that a volume names. That it is gone only the API server can say: our copy may be older."""
        reference = claim_ref(volume)
        if not reference.get("uid"):
            return None
        found = self._claims.get(str(reference.get("namespace")), str(reference.get("name")))
        if found is not None and found["metadata"]["uid"] == reference["uid"]:
            return found
        if phase_of(volume) in ("Released", "Failed"):
            return None
        try:
            return await self._client.get(PERSISTENTVOLUMECLAIMS, reference["name"], reference["namespace"])
        except NotFoundError:
            return None

    async def _take(self, key: str, obj: Obj, step: Step) -> float | None:
        if step.obj is not None:
            try:
                written = await self._client.update(step.resource, step.obj, subresource=step.subresource)
            except NotFoundError:
                return None  # its deletion comes as an event
            self._written[step.resource].wrote(key, written)
        if step.other:
            self.loop.queue.add(f"{CLAIM}{step.other}")
        if step.telling is None:
            self._told.pop(key, None)
            return None
        self._tell(key, obj, step.telling)
        return TELL_AGAIN_SECONDS

    def _tell(self, key: str, obj: Obj, telling: Telling) -> None:
        """Tell why something waits: when it is news, and now and then."""
        now = self._clock.monotonic()
        before = self._told.get(key)
        if before is not None and before[0] == telling and now - before[1] < TELL_AGAIN_SECONDS:
            return
        self._told[key] = (telling, now)
        self._told.move_to_end(key)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self._recorder.event(obj, telling.type, telling.reason, telling.message)

    def _forget(self, key: str) -> None:
        self._told.pop(key, None)
        for written in self._written.values():
            written.forget(key)

    def _now(self) -> str:
        return rfc3339(self._clock.now())
