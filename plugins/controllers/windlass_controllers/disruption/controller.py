"""Keeps the status of PodDisruptionBudgets: how many of their pods may be evicted now."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from windlass.apimachinery.meta import get_controller_of
from windlass.apimachinery.scheme import Resource
from windlass.apimachinery.selectors import format_label_selector
from windlass.apis.policy.v1 import covers
from windlass.apis.resources import (
    DEPLOYMENTS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.disruption.plan import failed_status, needs_scale, plan_budget, unmanaged
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.replicaset.plan import wanted_replicas
from windlass_controllers.scales import Scales

Obj = dict[str, Any]
KNOWN: Mapping[tuple[str, str], Resource] = {
    ("", "ReplicationController"): REPLICATIONCONTROLLERS,
    ("apps", "Deployment"): DEPLOYMENTS,
    ("apps", "ReplicaSet"): REPLICASETS,
    ("apps", "StatefulSet"): STATEFULSETS,
}
RECHECK_SECONDS = 60.0
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB "
    "cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
    '".spec.minAvailable" field of the PDB to an integer value.'
)


class UncountableError(Exception):
    """How many pods there should be cannot be told; the message says why."""


class DisruptionController:
    """One key is one PodDisruptionBudget."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._budgets = context.informers.informer(PODDISRUPTIONBUDGETS)
        self._pods = context.informers.informer(PODS)
        self._owners = {known: context.informers.informer(resource) for known, resource in KNOWN.items()}
        self._scales = Scales(context.client, context.clock)
        self.loop = KeyedLoop("disruption", context.clock)
        self.loop.feed(self._budgets, own_key)
        self.loop.feed(self._pods, self._budgets_of)
        for informer in self._owners.values():
            self.loop.feed(informer, self._budgets_of_template)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _budgets_of(self, pod: Mapping[str, Any]) -> Iterable[str]:
        namespace = pod["metadata"]["namespace"]
        return [own_key(budget)[0] for budget in self._budgets.list(namespace) if covers(budget, pod)]

    def _budgets_of_template(self, owner: Mapping[str, Any]) -> Iterable[str]:
        template = (owner.get("spec") or {}).get("template") or {}
        labels = (template.get("metadata") or {}).get("labels")
        return self._budgets_of({"metadata": {"namespace": owner["metadata"]["namespace"], "labels": labels}})

    async def reconcile(self, key: str) -> float | None:
        """Count one budget's pods and report."""
        namespace, name = split_key(key)
        budget = self._budgets.get(namespace, name)
        if budget is None:
            return None
        pods = [pod for pod in self._pods.list(namespace) if covers(budget, pod)]
        try:
            scale = await self._scale(namespace, pods) if needs_scale(budget) else 0
        except UncountableError as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            if await self._report(budget, failed_status(budget, str(error), self._clock.now())):
                self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            return RECHECK_SECONDS
        plan = plan_budget(budget, pods, scale, self._clock.now())
        for pod in plan.not_deleted:
            message = f"Pod was expected by PDB {key} to be deleted but it wasn't"
            self._recorder.event(pod, "Warning", "NotDeleted", message)
        if await self._report(budget, plan.status):
            self._tell(budget, pods)
        return plan.again_seconds

    def _tell(self, budget: Obj, pods: Sequence[Obj]) -> None:
        if not pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        elif needs_scale(budget) and unmanaged(pods):
            selector = format_label_selector(budget["spec"].get("selector"))
            self._recorder.event(budget, "Warning", "UnmanagedPods", UNMANAGED.format(selector))

    async def _scale(self, namespace: str, pods: Sequence[Obj]) -> int:
        """Return how many pods the controllers of these want together. Raises UncountableError, ApiError."""
        found: dict[str, int] = {}
        seen: set[str] = set()
        for pod in pods:
            reference = get_controller_of(pod)
            if reference is None or reference["uid"] in seen:
                continue
            seen.add(reference["uid"])
            uid, replicas = await self._scale_of(namespace, pod, reference)
            found[uid] = replicas
        return sum(found.values())

    async def _scale_of(self, namespace: str, pod: Obj, reference: Mapping[str, Any]) -> tuple[str, int]:
        """Return the uid of a pod's scalable controller and what it wants: for a Deployment's ReplicaSet the Deployment."""
        owner = self._known(namespace, reference)
        above = get_controller_of(owner) if owner is not None else None
        if above is not None and above["kind"] == "Deployment":
            owner = self._known(namespace, above)
        if owner is not None:
            return owner["metadata"]["uid"], wanted_replicas(owner)
        try:
            scale = await self._scales.get(reference["apiVersion"], reference["kind"], namespace, reference["name"])
        except NotFoundError as error:
            if not error.details.name:
                raise UncountableError(str(error)) from error
            scale = {}
        if (scale.get("metadata") or {}).get("uid") != reference["uid"]:
            raise UncountableError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        return reference["uid"], int(scale["spec"].get("replicas") or 0)

    def _known(self, namespace: str, reference: Mapping[str, Any]) -> Obj | None:
        group = reference["apiVersion"].rpartition("/")[0]
        informer = self._owners.get((group, reference["kind"]))
        owner = informer.get(namespace, reference["name"]) if informer is not None else None
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    async def _report(self, budget: Obj, status: Obj) -> bool:
        """Write the status if it is another, and say whether it was. An eviction in between makes this a conflict."""
        if _plain(budget.get("status")) == _plain(status):
            return False
        try:
            await self._client.update(PODDISRUPTIONBUDGETS, {**budget, "status": status}, subresource="status")
        except NotFoundError:
            return False
        return True


def _plain(status: Mapping[str, Any] | None) -> Obj:
    return {key: value for key, value in (status or {}).items() if value}
