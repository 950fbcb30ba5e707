"""From a file to a static pod. Pure: the same bytes on the same node give the same pod, uid included."""

import hashlib
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.decode import decode
from windlass.apimachinery.jsonparse import parse_object
from windlass.apimachinery.yamlparse import parse_yaml
from windlass.apis.scheme import builtin_scheme
from windlass.errors import ApiError, ConfigError

Obj = dict[str, Any]
SOURCE = "kubernetes.io/config.source"
HASH = "kubernetes.io/config.hash"
MIRROR = "kubernetes.io/config.mirror"
API_OBJECTS = ("configMap", "secret", "projected", "persistentVolumeClaim", "ephemeral")


def is_static(pod: Obj) -> bool:
    """Say whether a pod comes from a file of this node."""
    return bool((pod["metadata"].get("annotations") or {}).get(SOURCE) == "file")


def is_mirror(pod: Obj) -> bool:
    """Say whether a pod in the API only shows a node's static pod."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def read_manifest(file_name: str, content: bytes, node_name: str) -> Obj:
    """Read one manifest. Raises ConfigError that names the file, the field and what to do."""
    try:
        parsed = parse_object(content) if file_name.endswith(".json") else parse_yaml(content)
    except ApiError as error:
        raise ConfigError(f"static pod {file_name}: {error}") from error
    value = parsed.value
    if not isinstance(value, dict) or (value.get("apiVersion"), value.get("kind")) != ("v1", "Pod"):
        raise ConfigError(f"static pod {file_name}: the file must hold one v1 Pod")
    kind = builtin_scheme().by_kind("v1", "Pod")
    assert kind is not None
    decoded = decode(kind.schema, value)
    problems = [f'unknown field "{path}"' for path in decoded.unknown]
    problems += [f"{error.field}: {error.message}" for error in decoded.errors]
    if problems:
        raise ConfigError(f"static pod {file_name}: {'; '.join(problems)}")
    pod = _placed(decoded.obj, file_name, hashlib.sha256(content).hexdigest(), node_name)
    kind.strategy.default(pod)
    problems = [*_metadata_problems(pod), *(f"{e.field}: {e.message}" for e in kind.strategy.validate(pod))]
    problems += _api_references(pod)
    if problems:
        raise ConfigError(f"static pod {file_name}: {'; '.join(problems)}")
    return pod


def _placed(pod: Obj, file_name: str, digest: str, node_name: str) -> Obj:
    """Bind the pod to the node: name with the node's as its end, uid and hash from the content."""
    metadata = dict(pod.get("metadata") or {})
    uid = hashlib.sha256(f"{node_name}\0{file_name}\0{digest}".encode()).hexdigest()[:32]
    metadata["name"] = f"{metadata.get('name', '')}-{node_name}"
    metadata["namespace"] = metadata.get("namespace") or "default"
    metadata["uid"] = "-".join((uid[:8], uid[8:12], uid[12:16], uid[16:20], uid[20:]))
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SOURCE: "file", HASH: uid}
    spec = {**pod["spec"], "nodeName": node_name}
    spec["tolerations"] = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def _metadata_problems(pod: Obj) -> list[str]:
    metadata = pod["metadata"]
    wrong = [f"metadata.name: {m}" for m in names.is_dns1123_subdomain(metadata["name"])]
    return wrong + [f"metadata.namespace: {m}" for m in names.is_dns1123_label(metadata["namespace"])]


def _api_references(pod: Obj) -> list[str]:
    """Name what refers to objects of the API: a static pod has to run without it."""
    found = [
        f"spec.volumes[{i}].{source}: a static pod cannot refer to objects of the API"
        for i, volume in enumerate(pod["spec"].get("volumes") or ())
        for source in API_OBJECTS
        if source in volume
    ]
    if pod["spec"].get("serviceAccountName") not in (None, "", "default"):
        found.append("spec.serviceAccountName: a static pod cannot use a service account")
    for group in ("initContainers", "containers"):
        for i, container in enumerate(pod["spec"].get(group) or ()):
            sources = [e.get("valueFrom") or {} for e in container.get("env") or ()]
            if container.get("envFrom") or any("configMapKeyRef" in s or "secretKeyRef" in s for s in sources):
                found.append(f"spec.{group}[{i}].env: a static pod cannot refer to objects of the API")
    return found
