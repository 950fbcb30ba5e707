"""What a RuntimeClass adds to the Pods that name it: its overhead, the nodes it runs on, the taints it bears."""

from typing import Any

from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

CLASSES = "runtimeclasses.node.k8s.io"
Obj = dict[str, Any]


class RuntimeClass:
    """Refuses a new Pod whose class is not there, and one that contradicts its class."""

    name = "RuntimeClass"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Fill `spec.overhead`, `spec.nodeSelector` and `spec.tolerations`. Raises ForbiddenError."""
        new = request.operation == "CREATE" and (request.group, request.resource) == ("", "pods")
        if not new or request.subresource or request.obj is None:
            return
        spec = request.obj["spec"]
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                raise _refused(request, "Pod Overhead set without corresponding RuntimeClass defined Overhead")
            return
        found = request.reader.get(CLASSES, "", name)
        if found is None:
            raise _refused(request, f'RuntimeClass "{name}" not found')
        _set_overhead(request, spec, (found.get("overhead") or {}).get("podFixed"))
        _schedule(request, spec, found.get("scheduling") or {})

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing more."""


def _refused(request: AdmissionRequest, why: str) -> ForbiddenError:
    return ForbiddenError(f'pods "{request.name}" is forbidden: pod rejected: {why}')


def _set_overhead(request: AdmissionRequest, spec: Obj, overhead: Obj | None) -> None:
    asked = spec.get("overhead")
    if asked and not overhead:
        raise _refused(request, "Pod Overhead set without corresponding RuntimeClass defined Overhead")
    if asked and asked != overhead:
        raise _refused(request, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if overhead:
        spec["overhead"] = dict(overhead)


def _schedule(request: AdmissionRequest, spec: Obj, scheduling: Obj) -> None:
    """Add the class's node selector and tolerations to the Pod's own."""
    selector = scheduling.get("nodeSelector") or {}
    own = spec.get("nodeSelector") or {}
    for key, value in selector.items():
        if key in own and own[key] != value:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {own[key]}"
            )
            raise _refused(request, why)
    if selector:
        spec["nodeSelector"] = {**own, **selector}
    tolerations = spec.get("tolerations") or []
    added = [t for t in scheduling.get("tolerations") or () if t not in tolerations]
    if added:
        spec["tolerations"] = [*tolerations, *added]
