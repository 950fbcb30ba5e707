"""Makes the claims of a StatefulSet's pods and keeps to its retention policy."""

from collections.abc import Sequence
from typing import Any

from windlass.apimachinery.meta import is_being_deleted
from windlass.apis.resources import PERSISTENTVOLUMECLAIMS
from windlass.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.pods import phase_of
from windlass_controllers.statefulset.claims import goes_with_a_former_pod, wanted_claims, wanted_owners
from windlass_controllers.statefulset.identity import claim_templates, ordinal_of, pod_name

Obj = dict[str, Any]


class ClaimWriter:
    """The writes on claims of the StatefulSet controller."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._recorder = context.client, context.recorder
        self.informer = context.informers.informer(PERSISTENTVOLUMECLAIMS)

    async def create(self, stateful_set: Obj, ordinal: int, *, pod: Obj | None = None) -> None:
        """Create the claims that a pod lacks, or that one yet to be made would lack. Raises ApiError after telling."""
        for claim in wanted_claims(stateful_set, ordinal):
            metadata = claim["metadata"]
            there = self.informer.get(metadata["namespace"], metadata["name"])
            if there is None:
                await self._create(stateful_set, claim, ordinal)
            elif is_being_deleted(there) or (
                pod is None and goes_with_a_former_pod(there, pod_name(stateful_set, ordinal))
            ):
                # A pod that took it now would lose it with its next restart.
                error = ConflictError(f"pvc {metadata['name']} is being deleted")
                self._tell(stateful_set, "FailedCreate", claim, ordinal, f"failed error: {error}", event_type="Warning")
                raise error

    async def _create(self, stateful_set: Obj, claim: Obj, ordinal: int) -> None:
        try:
            await self._client.create(PERSISTENTVOLUMECLAIMS, claim)
        except AlreadyExistsError:
            return  # our copy is older, and the name is what counts
        except ApiError as error:
            if not error.namespace_is_going:
                self._tell(stateful_set, "FailedCreate", claim, ordinal, f"failed error: {error}", event_type="Warning")
            raise
        self._tell(stateful_set, "SuccessfulCreate", claim, ordinal, "success")

    def _tell(
        self, stateful_set: Obj, reason: str, claim: Obj, ordinal: int, how: str, *, event_type: str = "Normal"
    ) -> None:
        name = stateful_set["metadata"]["name"]
        text = f"create Claim {claim['metadata']['name']} Pod {name}-{ordinal} in StatefulSet {name} {how}"
        self._recorder.event(stateful_set, event_type, reason, text)

    async def settle(self, stateful_set: Obj, pods: Sequence[Obj]) -> None:
        """Make what pods that wait may lack, and give each claim the owner that the policy wants, before a pod goes."""
        if not claim_templates(stateful_set):
            return
        for pod in pods:
            ordinal = ordinal_of(stateful_set, pod)
            if ordinal is None:
                continue
            if phase_of(pod) == "Pending" and not is_being_deleted(pod):
                await self.create(stateful_set, ordinal, pod=pod)
            for wanted in wanted_claims(stateful_set, ordinal):
                await self._settle_owners(stateful_set, pod, wanted["metadata"])

    async def _settle_owners(self, stateful_set: Obj, pod: Obj, named: Obj) -> None:
        claim = self.informer.get(named["namespace"], named["name"])
        owners = None if claim is None else wanted_owners(stateful_set, pod, claim)
        if claim is None or owners is None:
            return
        metadata = {**claim["metadata"], "ownerReferences": list(owners)}
        try:
            await self._client.update(PERSISTENTVOLUMECLAIMS, {**claim, "metadata": metadata})
        except NotFoundError:
            return
