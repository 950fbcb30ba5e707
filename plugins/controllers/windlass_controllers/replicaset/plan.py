"""What a ReplicaSet needs: how many pods to create, which to delete, what to report. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from windlass.apimachinery.meta import new_controller_ref, remove_condition, set_condition
from windlass.clock import rfc3339
from windlass_controllers.pods import Pod, is_active, is_ready, phase_of, ready_since, seconds_until_available

Obj = dict[str, Any]
BURST = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1}


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """Create that many pods, or delete those."""

    create: int = 0
    delete: Sequence[Obj] = ()


def plan_replicas(replica_set: Mapping[str, Any], owned: Iterable[Obj], now: datetime) -> ReplicaPlan:
    """Compare the wanted number with the active pods. At most 500 changes at a time."""
    active = [pod for pod in owned if is_active(pod)]
    missing = wanted_replicas(replica_set) - len(active)
    if missing >= 0:
        return ReplicaPlan(create=min(missing, BURST))
    return ReplicaPlan(delete=rank_for_deletion(active, now)[: min(-missing, BURST)])


def wanted_replicas(replica_set: Mapping[str, Any]) -> int:
    """Return spec.replicas, one when it is not said."""
    replicas = replica_set["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def rank_for_deletion(pods: Sequence[Obj], now: datetime) -> list[Obj]:
    """Sort pods, the most dispensable first, as Kubernetes does.

    Unassigned before assigned; Pending, then Unknown, then Running; not ready before ready; lower deletion cost; more
    siblings on the node; ready for a shorter time; more restarts; younger.
    """
    per_node = Counter(pod["spec"].get("nodeName") for pod in pods if pod["spec"].get("nodeName"))

    def rank(pod: Obj) -> tuple[Any, ...]:
        node, since = pod["spec"].get("nodeName"), ready_since(pod)
        return (
            bool(node),
            _PHASES.get(phase_of(pod), 2),
            is_ready(pod),
            deletion_cost(pod),
            -per_node[node] if node else 0,
            (now - since).total_seconds() if since else 0.0,
            -restarts(pod),
            _descending(str(pod["metadata"].get("creationTimestamp") or "")),
            str(pod["metadata"].get("name")),
        )

    return sorted(pods, key=rank)


def deletion_cost(pod: Pod) -> int:
    """Return the pod's deletion cost annotation, 0 when there is none or it is not a number."""
    text = str((pod["metadata"].get("annotations") or {}).get(DELETION_COST) or "0")
    try:
        return int(text)
    except ValueError:
        return 0


def restarts(pod: Pod) -> int:
    """Return the highest restart count of the pod's containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)


def _descending(text: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in text)


def new_pod(replica_set: Mapping[str, Any], suffix: str) -> Obj:
    """Return a pod made from the template. Its name is chosen here, so that a repeated request makes one."""
    template = replica_set["spec"].get("template") or {}
    wanted = template.get("metadata") or {}
    prefix = f"{replica_set['metadata']['name'][:247]}-"
    metadata: Obj = {
        "name": prefix[:58] + suffix if len(prefix) > 58 else prefix + suffix,
        "generateName": prefix,
        "namespace": replica_set["metadata"]["namespace"],
        "ownerReferences": [new_controller_ref(replica_set)],
    }
    metadata |= {key: wanted[key] for key in ("labels", "annotations", "finalizers") if wanted.get(key)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def plan_status(
    replica_set: Mapping[str, Any], owned: Iterable[Obj], now: datetime, failure: tuple[str, str] | None
) -> tuple[Obj, float | None]:
    """Return the new status, and in how many seconds a pod becomes available just by waiting (None: none will).

    `failure`: reason and message of a refused creation or deletion.
    """
    spec, before = replica_set["spec"], replica_set.get("status") or {}
    template_labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    active = [pod for pod in owned if is_active(pod)]
    waits = [seconds_until_available(pod, int(spec.get("minReadySeconds") or 0), now) for pod in active]
    status: Obj = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            template_labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active
        ),
        "readyReplicas": sum(wait is not None for wait in waits),
        "availableReplicas": sum(wait == 0 for wait in waits),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    conditions = remove_condition(before.get("conditions"), "ReplicaFailure")
    if failure is not None:
        told = {"type": "ReplicaFailure", "status": "True", "reason": failure[0], "message": failure[1]}
        conditions = set_condition(before.get("conditions"), told, rfc3339(now))
    if conditions:
        status["conditions"] = conditions
    return status, min((wait for wait in waits if wait), default=None)


def is_same_status(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Compare two statuses; a zero and an absent count are the same."""
    before = before or {}
    return {k: v for k, v in before.items() if v} == {k: v for k, v in after.items() if v}
