"""What admission adds to a new Pod: the priority of its class and the tolerations that give a lost node some time."""

from typing import Any

from windlass.admission.node_restriction import MIRROR
from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

BUILTIN_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
NODE_LOST_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
NODE_LOST_SECONDS = 300


def _is_new_pod(request: AdmissionRequest) -> bool:
    return (
        request.operation == "CREATE" and request.resource == "pods" and not request.subresource and not request.group
    )


class Priority:
    """Resolves `priorityClassName` to a number; a Pod may not set the number itself."""

    name = "Priority"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Fill `spec.priority`, `spec.preemptionPolicy` and, from the global default, `spec.priorityClassName`."""
        if not _is_new_pod(request) or request.obj is None:
            return
        spec = request.obj["spec"]
        name = spec.get("priorityClassName", "")
        if name in BUILTIN_PRIORITIES:
            value, policy = BUILTIN_PRIORITIES[name], "PreemptLowerPriority"
        else:
            value, policy = self._resolve(request, spec, name)
        asked = spec.get("priority")
        if asked is not None and asked != value:
            raise ForbiddenError(
                f'pods "{request.name}" is forbidden: the integer value of priority ({asked}) must not be provided in '
                f"pod spec; priority admission controller computed {value} from the given PriorityClass name"
            )
        spec["priority"] = value
        spec.setdefault("preemptionPolicy", policy)

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing more."""

    def _resolve(self, request: AdmissionRequest, spec: dict[str, Any], name: str) -> tuple[int, str]:
        classes = request.reader.list("priorityclasses.scheduling.k8s.io")
        if name:
            found = next((c for c in classes if c["metadata"]["name"] == name), None)
            if found is None:
                raise ForbiddenError(f'pods "{request.name}" is forbidden: no PriorityClass with name {name} was found')
        else:
            defaults = [c for c in classes if c.get("globalDefault")]
            found = min(defaults, key=lambda c: int(c["value"]), default=None)
        if found is None:
            return 0, "PreemptLowerPriority"
        spec["priorityClassName"] = found["metadata"]["name"]
        return int(found["value"]), str(found.get("preemptionPolicy", "PreemptLowerPriority"))


class DefaultTolerations:
    """Lets a Pod stay 300 s on a node that is lost, unless it says otherwise."""

    name = "DefaultTolerationSeconds"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Add the two tolerations that are not there."""
        if not _is_new_pod(request) or request.obj is None:
            return
        tolerations = request.obj["spec"].setdefault("tolerations", [])
        for key in NODE_LOST_TAINTS:
            if not any(_covers(toleration, key) for toleration in tolerations):
                tolerations.append(
                    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NODE_LOST_SECONDS}
                )

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing."""


def _covers(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


class DefaultServiceAccount:
    """Names the account that a Pod runs as: `default` unless it says otherwise."""

    name = "ServiceAccount"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Fill `spec.serviceAccountName` and its deprecated twin."""
        if not _is_new_pod(request) or request.obj is None:
            return
        if MIRROR in (request.obj["metadata"].get("annotations") or {}):
            return  # a static pod runs without the API, so as no account of it
        spec = request.obj["spec"]
        spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
        spec["serviceAccount"] = spec["serviceAccountName"]

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing."""
