"""From a Job's template to a pod. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.meta import new_controller_ref
from windlass_controllers.job.indexes import ANNOTATION, FAILURES
from windlass_controllers.job.plan import PodWanted
from windlass_controllers.job.tally import FINALIZER

Obj = dict[str, Any]
INDEX_ENV = "JOB_COMPLETION_INDEX"
MAX_BASE = 57


def new_pod(job: Mapping[str, Any], wanted: PodWanted, suffix: str) -> Obj:
    """Build a pod. One with an index has it in its name, host name, label, annotation and environment."""
    template = job["spec"]["template"]
    pattern = template.get("metadata") or {}
    spec: Obj = dict(template.get("spec") or {})
    labels, annotations = dict(pattern.get("labels") or {}), dict(pattern.get("annotations") or {})
    name = job["metadata"]["name"]
    base = f"{name[:MAX_BASE]}-"
    if wanted.index is not None:
        tail = f"-{wanted.index}"
        base = f"{name[: MAX_BASE - len(tail)]}{tail}-"
        labels[ANNOTATION] = annotations[ANNOTATION] = str(wanted.index)
        if job["spec"].get("backoffLimitPerIndex") is not None:
            annotations[FAILURES] = str(wanted.failures)
        spec.setdefault("hostname", f"{name[: 63 - len(tail)]}{tail}")
        for group in ("initContainers", "containers"):
            if spec.get(group):
                spec[group] = [_with_index(container) for container in spec[group]]
    metadata: Obj = {
        "name": base + suffix,
        "generateName": base,
        "namespace": job["metadata"]["namespace"],
        "labels": labels,
        "finalizers": [*(pattern.get("finalizers") or ()), FINALIZER],
        "ownerReferences": [new_controller_ref(job)],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _with_index(container: Obj) -> Obj:
    """Add the variable, unless the container has one of that name."""
    env = container.get("env") or []
    if any(entry["name"] == INDEX_ENV for entry in env):
        return container
    path = f"metadata.labels['{ANNOTATION}']"
    return {**container, "env": [*env, {"name": INDEX_ENV, "valueFrom": {"fieldRef": {"fieldPath": path}}}]}
