"""On which nodes a DaemonSet's pods belong, and how a pod is tied to its node. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.meta import new_controller_ref
from windlass.apis.core.v1.node_selection import matches_node
from windlass_controllers.revisions import HASH_LABEL
from windlass_controllers.taints import is_tolerated

Obj = dict[str, Any]
NODE_NAME = "metadata.name"
LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PRESSED = (
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
)
NO_NETWORK = "node.kubernetes.io/network-unavailable"


def daemon_tolerations(spec: Mapping[str, Any]) -> list[Obj]:
    """Return the pod's tolerations with those that every daemon has: it stays where others leave."""
    wanted = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in LOST]
    wanted += [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in PRESSED]
    if spec.get("hostNetwork"):
        wanted.append({"key": NO_NETWORK, "operator": "Exists", "effect": "NoSchedule"})
    own = list(spec.get("tolerations") or ())
    return own + [t for t in wanted if t not in own]


def node_verdict(spec: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a pod should run on a node, and whether one that is there may stay."""
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False, False
    if not matches_node(spec, node):
        return False, False
    tolerations = daemon_tolerations(spec)
    taints = [
        taint
        for taint in (node.get("spec") or {}).get("taints") or ()
        if taint.get("effect") in {"NoSchedule", "NoExecute"} and not any(is_tolerated(taint, t) for t in tolerations)
    ]
    return not taints, all(taint["effect"] != "NoExecute" for taint in taints)


def node_of(pod: Mapping[str, Any]) -> str:
    """Return the node that a pod is bound to, or meant for."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    for term in terms:
        for field in term.get("matchFields") or ():
            if field.get("key") == NODE_NAME and field.get("operator") == "In" and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def _tied(affinity: Mapping[str, Any] | None, node_name: str) -> Obj:
    """Return an affinity that means one node: the template's own node terms hold for it already."""
    field = {"key": NODE_NAME, "operator": "In", "values": [node_name]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    made = dict(affinity or {})
    node_affinity = {**(made.get("nodeAffinity") or {}), "requiredDuringSchedulingIgnoredDuringExecution": required}
    return {**made, "nodeAffinity": node_affinity}


def new_pod(daemon_set: Mapping[str, Any], node_name: str, revision_hash: str, suffix: str) -> Obj:
    """Build a pod for a node; the scheduler binds it, so that it waits where there is no room."""
    template = daemon_set["spec"]["template"]
    wanted = template.get("metadata") or {}
    prefix = f"{daemon_set['metadata']['name'][:57]}-"
    metadata: Obj = {
        "name": prefix + suffix,
        "generateName": prefix,
        "namespace": daemon_set["metadata"]["namespace"],
        "labels": {**(wanted.get("labels") or {}), HASH_LABEL: revision_hash},
        "ownerReferences": [new_controller_ref(daemon_set)],
    }
    metadata |= {key: wanted[key] for key in ("annotations", "finalizers") if wanted.get(key)}
    spec = template.get("spec") or {}
    tied = {**spec, "affinity": _tied(spec.get("affinity"), node_name), "tolerations": daemon_tolerations(spec)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": tied}
