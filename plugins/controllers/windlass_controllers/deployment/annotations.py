"""What a Deployment writes into its ReplicaSets' annotations: revisions and sizes. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Obj = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_OWN = frozenset({
    REVISION, REVISION_HISTORY, DESIRED, MAX, "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
})


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return metadata.annotations, empty when absent."""
    return obj["metadata"].get("annotations") or {}


def number(obj: Mapping[str, Any], annotation: str) -> int:
    """Return an annotation read as a number, 0 when it is not one."""
    text = annotations_of(obj).get(annotation, "")
    return int(text) if text.isdecimal() else 0


def highest_revision(replica_sets: Iterable[Mapping[str, Any]]) -> int:
    """Return the highest revision among ReplicaSets, 0 for none."""
    return max((number(rs, REVISION) for rs in replica_sets), default=0)


def size_annotations(replicas: int, max_surge: int) -> Obj:
    """Return the annotations by which a later resize finds the proportions."""
    return {DESIRED: str(replicas), MAX: str(replicas + max_surge)}


def new_set_annotations(deployment: Mapping[str, Any], replica_set: Mapping[str, Any] | None, revision: int) -> Obj:
    """Return the new ReplicaSet's annotations: the Deployment's (change-cause among them) and the revision.

    A ReplicaSet that comes back (rollback) gets a new revision and keeps its old ones in `revision-history`.
    """
    result = dict(annotations_of(replica_set)) if replica_set is not None else {}
    result |= {key: value for key, value in annotations_of(deployment).items() if key not in _OWN}
    before = result.get(REVISION, "")
    if before.isdecimal() and int(before) >= revision:
        return result
    if before:
        history = [item for item in result.get(REVISION_HISTORY, "").split(",") if item]
        result[REVISION_HISTORY] = ",".join([*history, before])
    result[REVISION] = str(revision)
    return result
