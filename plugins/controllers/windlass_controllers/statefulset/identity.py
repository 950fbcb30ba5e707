"""What makes a StatefulSet's pods themselves: number, name, host name, template. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery.meta import new_controller_ref
from windlass_controllers.revisions import HASH_LABEL, hash_of

Obj = dict[str, Any]
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def pod_name(stateful_set: Mapping[str, Any], ordinal: int) -> str:
    """Return the name of a pod."""
    return f"{stateful_set['metadata']['name']}-{ordinal}"


def ordinal_of(stateful_set: Mapping[str, Any], pod: Mapping[str, Any]) -> int | None:
    """Return a pod's number; None when its name is none of this set's."""
    prefix, _, number = pod["metadata"]["name"].rpartition("-")
    ours = prefix == stateful_set["metadata"]["name"] and number.isdecimal() and str(int(number)) == number
    return int(number) if ours else None


def ordinals(stateful_set: Mapping[str, Any]) -> range:
    """Return the numbers that should have a pod."""
    spec = stateful_set["spec"]
    start = int((spec.get("ordinals") or {}).get("start") or 0)
    replicas = spec.get("replicas")
    return range(start, start + (1 if replicas is None else int(replicas)))


def claim_templates(stateful_set: Mapping[str, Any]) -> Sequence[Obj]:
    """Return the patterns of the claims that each pod has."""
    return stateful_set["spec"].get("volumeClaimTemplates") or ()


def claim_name(stateful_set: Mapping[str, Any], template: Mapping[str, Any], ordinal: int) -> str:
    """Return the name of one pod's claim: it outlives the pod, so the next one of that number finds it."""
    return f"{template['metadata']['name']}-{pod_name(stateful_set, ordinal)}"


def _volumes(stateful_set: Mapping[str, Any], ordinal: int, own: Sequence[Obj]) -> list[Obj]:
    """Return a pod's volumes: those of its claims, and of its template's own those that have other names."""
    claimed = {
        template["metadata"]["name"]: claim_name(stateful_set, template, ordinal)
        for template in claim_templates(stateful_set)
    }
    return [
        *({"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claimed.items()),
        *(volume for volume in own if volume["name"] not in claimed),
    ]


def new_pod(stateful_set: Mapping[str, Any], ordinal: int, revision: Mapping[str, Any]) -> Obj:
    """Build a pod from a snapshot's template."""
    template = revision["data"]["spec"]["template"]
    pattern = template.get("metadata") or {}
    name = pod_name(stateful_set, ordinal)
    labels = {
        **(pattern.get("labels") or {}),
        NAME_LABEL: name,
        INDEX_LABEL: str(ordinal),
        HASH_LABEL: hash_of(revision),
    }
    metadata: Obj = {
        "name": name,
        "generateName": f"{stateful_set['metadata']['name']}-",
        "namespace": stateful_set["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [new_controller_ref(stateful_set)],
    }
    metadata |= {key: pattern[key] for key in ("annotations", "finalizers") if pattern.get(key)}
    spec = {**(template.get("spec") or {}), "hostname": name, "subdomain": stateful_set["spec"].get("serviceName", "")}
    if not spec["subdomain"]:
        del spec["subdomain"]
    if claim_templates(stateful_set):
        spec["volumes"] = _volumes(stateful_set, ordinal, spec.get("volumes") or ())
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
