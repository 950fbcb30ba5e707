"""From host agents' summaries to `metrics.k8s.io` objects. Pure.

A container or node whose rate is not known yet (one look only) has no metrics; a pod without any such container has none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.apis.metrics.v1beta1 import NODE_METRICS, POD_METRICS

Obj = dict[str, Any]
Summary = Mapping[str, Any]
WINDOW = "10s"
"""How far apart the agents' looks are."""


def _usage(part: Mapping[str, Any]) -> dict[str, str] | None:
    """Return cpu in nanocores and memory in kibibytes; None while the rate is unknown."""
    rate = part["cpu"].get("usageNanoCores")
    if rate is None:
        return None
    return {"cpu": f"{rate}n", "memory": f"{part['memory']['workingSetBytes'] // 1024}Ki"}


def node_metrics(node: Mapping[str, Any], summary: Summary) -> Obj | None:
    """Build a node's metrics; None while unknown."""
    usage = _usage(summary["node"])
    if usage is None:
        return None
    measured = summary["node"]["cpu"]["time"]
    return {
        "kind": NODE_METRICS.kind,
        "apiVersion": NODE_METRICS.api_version,
        "metadata": _metadata(node, measured),
        "timestamp": measured,
        "window": WINDOW,
        "usage": usage,
    }


def pod_metrics(pod: Mapping[str, Any], summary: Summary) -> Obj | None:
    """Build a pod's metrics from its node's summary; None while no container's usage is known."""
    uid = pod["metadata"]["uid"]
    found = next((p for p in summary["pods"] if p["podRef"]["uid"] == uid), None)
    if found is None:
        return None
    containers = list(_containers(found))
    if not containers:
        return None
    measured = found["cpu"]["time"]
    return {
        "kind": POD_METRICS.kind,
        "apiVersion": POD_METRICS.api_version,
        "metadata": {**_metadata(pod, measured), "namespace": pod["metadata"]["namespace"]},
        "timestamp": measured,
        "window": WINDOW,
        "containers": containers,
    }


def _containers(pod: Mapping[str, Any]) -> Iterator[Obj]:
    for container in pod["containers"]:
        usage = _usage(container)
        if usage is not None:
            yield {"name": container["name"], "usage": usage}


def _metadata(owner: Mapping[str, Any], measured: str) -> Obj:
    metadata: Obj = {"name": owner["metadata"]["name"], "creationTimestamp": measured}
    if owner["metadata"].get("labels"):
        metadata["labels"] = owner["metadata"]["labels"]
    return metadata
