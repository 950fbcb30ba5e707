"""Makes the claims of generic ephemeral volumes; the garbage collector takes them away with their pods."""

from typing import Any

from windlass.apis.core.v1.claimed_volumes import claim_of
from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PODS
from windlass.errors import AlreadyExistsError, ApiError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.ephemeralvolume.plan import NotOursError, ephemeral_volumes, missing_claim, needs_claims
from windlass_controllers.keyed import KeyedLoop, own_key, split_key

Obj = dict[str, Any]
BLOCKED_SECONDS = 60.0


class EphemeralVolumeController:
    """One key is one pod."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._recorder = context.client, context.recorder
        self._pods = context.informers.informer(PODS)
        self._claims = context.informers.informer(PERSISTENTVOLUMECLAIMS)
        self._pods.add_index("ephemeral-claims", _claim_keys)
        self.loop = KeyedLoop("ephemeral-volume", context.clock)
        self.loop.feed(self._pods, lambda pod: own_key(pod) if needs_claims(pod) else ())
        self.loop.feed(self._claims, self._pods_of)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _pods_of(self, claim: Obj) -> list[str]:
        (key,) = own_key(claim)
        if self._claims.get(*split_key(key)) is not None:
            return []
        return [name for pod in self._pods.by_index("ephemeral-claims", key) for name in own_key(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Make the claims that a pod lacks; a name that somebody else has is told, and tried again later."""
        pod = self._pods.get(*split_key(key))
        if pod is None or not needs_claims(pod):
            return None
        namespace, again = pod["metadata"]["namespace"], None
        for volume in ephemeral_volumes(pod):
            try:
                claim = missing_claim(pod, volume, lambda name: self._claims.get(namespace, name))
                if claim is not None:
                    await self._client.create(PERSISTENTVOLUMECLAIMS, claim, namespace)
            except AlreadyExistsError:
                again = 1.0  # made a moment ago, or somebody else's: our copy will show
            except NotOursError as error:
                self._tell(pod, volume, error)
                again = BLOCKED_SECONDS
            except ApiError as error:
                if not error.namespace_is_going:
                    self._tell(pod, volume, error)
                raise
        return again

    def _tell(self, pod: Obj, volume: Obj, error: Exception) -> None:
        text = f"ephemeral volume {volume['name']}: {error}"
        self._recorder.event(pod, "Warning", "FailedBinding", text)


def _claim_keys(pod: Any) -> list[str]:
    namespace = pod["metadata"].get("namespace", "")
    return [f"{namespace}/{claim_of(pod, volume)}" for volume in ephemeral_volumes(pod)]
