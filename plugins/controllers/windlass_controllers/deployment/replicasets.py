"""Which ReplicaSet is the new one, which are old, and how a new one looks. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from windlass.apimachinery.meta import new_controller_ref
from windlass_controllers.pods import ALPHABET

Obj = dict[str, Any]
HASH_LABEL = "pod-template-hash"
_ZERO_IS_ABSENT = frozenset({
    "generation", "hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty",
})
"""Kubernetes types these without a pointer, so its clients cannot tell false from absent."""
_EMPTY_MEANS_SOMETHING = frozenset({"emptyDir", "labelSelector", "namespaceSelector", "storageClassName"})


def replicas_of(obj: Mapping[str, Any]) -> int:
    """Return spec.replicas, one when it is not said."""
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def available_of(replica_set: Mapping[str, Any]) -> int:
    """Return status.availableReplicas."""
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0)


def total(replica_sets: Iterable[Mapping[str, Any]], field: str) -> int:
    """Add up one number of the statuses."""
    return sum(int((rs.get("status") or {}).get(field) or 0) for rs in replica_sets)


def by_age(replica_sets: Iterable[Obj]) -> list[Obj]:
    """Sort, the oldest first."""
    return sorted(replica_sets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", rs["metadata"]["name"]))


def find_new(deployment: Mapping[str, Any], replica_sets: Iterable[Obj]) -> Obj | None:
    """Return the oldest ReplicaSet whose template is the Deployment's; None when there is none yet."""
    wanted = _comparable(deployment["spec"]["template"])
    return next((rs for rs in by_age(replica_sets) if _comparable(rs["spec"].get("template") or {}) == wanted), None)


def old_sets(replica_sets: Iterable[Obj], new: Mapping[str, Any] | None) -> list[Obj]:
    """Return the others, the oldest first."""
    uid = new["metadata"]["uid"] if new is not None else None
    return [rs for rs in by_age(replica_sets) if rs["metadata"]["uid"] != uid]


def _comparable(template: Mapping[str, Any]) -> bytes:
    """Return a template without the hash label, and without empty values that defaulting may or may not leave."""
    metadata = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    metadata = {**metadata, "labels": labels}
    metadata.pop("creationTimestamp", None)
    return orjson.dumps(_pruned({**template, "metadata": metadata}), option=orjson.OPT_SORT_KEYS)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if not _says_nothing(key, item)}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _says_nothing(key: str, value: Any) -> bool:
    """Say whether a field means the same as its absence: Kubernetes' clients drop and add such fields at will."""
    if key in _ZERO_IS_ABSENT and value in (False, 0):
        return True
    if value in ("", [], {}):
        return key not in _EMPTY_MEANS_SOMETHING
    return value is None


def template_hash(template: Mapping[str, Any], collision_count: int) -> str:
    """Return ten letters that name a template; another count gives another name for the same one."""
    digest = hashlib.sha256(_comparable(template) + str(collision_count or "").encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:10])


def new_replica_set(deployment: Mapping[str, Any], replicas: int, annotations: Mapping[str, str]) -> Obj:
    """Return the ReplicaSet for the Deployment's template."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = spec["template"]
    label = {HASH_LABEL: template_hash(template, int((deployment.get("status") or {}).get("collisionCount") or 0))}
    labels = {**((template.get("metadata") or {}).get("labels") or {}), **label}
    selector = spec["selector"]
    made: Obj = {
        "replicas": replicas,
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **label}},
        "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{label[HASH_LABEL]}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": dict(annotations),
            "ownerReferences": [new_controller_ref(deployment)],
        },
        "spec": made,
    }


def plan_cleanup(deployment: Mapping[str, Any], old: Sequence[Obj], revision_of: Any) -> list[Obj]:
    """Return the old ReplicaSets beyond revisionHistoryLimit that are empty and settled."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit >= 2**31 - 1:
        return []
    alive = sorted(
        (rs for rs in old if not rs["metadata"].get("deletionTimestamp")),
        key=lambda rs: (revision_of(rs), rs["metadata"].get("creationTimestamp") or ""),
    )
    return [rs for rs in alive[: max(0, len(alive) - limit)] if _is_empty(rs)]


def _is_empty(replica_set: Mapping[str, Any]) -> bool:
    status, metadata = replica_set.get("status") or {}, replica_set["metadata"]
    settled = int(metadata.get("generation") or 0) <= int(status.get("observedGeneration") or 0)
    return not replicas_of(replica_set) and not status.get("replicas") and settled
