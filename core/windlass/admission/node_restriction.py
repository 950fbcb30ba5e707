"""A node's certificate may write only its own Node, and not what steers scheduling onto it."""

from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
RESTRICTED_LABEL_PREFIX = "node-restriction.kubernetes.io/"
MIRROR = "kubernetes.io/config.mirror"
MIRROR_VOLUMES = frozenset({"name", "emptyDir", "hostPath", "downwardAPI"})
"""What a volume of a static pod may be: nothing through which its node could read an object of the API."""


class NodeRestriction:
    """Second line behind the node authoriser: looks inside what a node writes (faults S50)."""

    name = "NodeRestriction"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Change nothing."""

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse another node's Node or Lease, owner references on it, changed taints and restricted labels, foreign pods' deletion."""
        if NODE_GROUP not in request.user.groups:
            return
        node = request.user.name.removeprefix(NODE_PREFIX)
        if request.resource == "nodes" and request.obj is not None:
            self._check_node(request, node)
        if request.resource == "leases" and request.name != node:
            # A create has no name in its path, so the authoriser cannot tell.
            raise ForbiddenError(f'leases "{request.name}" is forbidden: node {node} may only write its own Lease')
        if request.resource == "pods" and request.old is not None and request.old["spec"].get("nodeName") != node:
            raise ForbiddenError(f'pods "{request.name}" is forbidden: it is not bound to node {node}')
        if request.resource == "pods" and request.operation == "CREATE" and not request.subresource:
            _check_mirror(request, node)

    def _check_node(self, request: AdmissionRequest, node: str) -> None:
        metadata = (request.obj or {}).get("metadata", {})
        if metadata.get("name") != node:
            raise ForbiddenError(
                f'nodes "{metadata.get("name")}" is forbidden: node {node} may only write its own Node'
            )
        if metadata.get("ownerReferences"):
            raise ForbiddenError(f'nodes "{node}" is forbidden: a node may not set ownerReferences on itself')
        old = request.old or {}
        restricted = {
            key
            for key in {*metadata.get("labels", {}), *old.get("metadata", {}).get("labels", {})}
            if key.startswith(RESTRICTED_LABEL_PREFIX)
            and metadata.get("labels", {}).get(key) != old.get("metadata", {}).get("labels", {}).get(key)
        }
        if restricted:
            raise ForbiddenError(f'nodes "{node}" is forbidden: a node may not change label {min(restricted)}')
        if request.old is not None and (request.obj or {}).get("spec", {}).get("taints") != old.get("spec", {}).get(
            "taints"
        ):
            raise ForbiddenError(f'nodes "{node}" is forbidden: a node may not change its own taints')


def _check_mirror(request: AdmissionRequest, node: str) -> None:
    """Refuse a node's new pod unless it mirrors a static pod of that node and refers to no object of the API."""
    pod = request.obj or {}
    spec, metadata = pod.get("spec", {}), pod.get("metadata", {})
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    sources = [entry.get("valueFrom") or {} for c in containers for entry in c.get("env") or ()]
    owners = metadata.get("ownerReferences") or ()
    reason = ""
    if not (metadata.get("annotations") or {}).get(MIRROR):
        reason = f"node {node} may only create mirrors of its static pods"
    elif spec.get("nodeName") != node:
        reason = f"node {node} may only create pods that are bound to it"
    elif spec.get("serviceAccountName") or spec.get("imagePullSecrets"):
        reason = "a mirror pod may not use a service account or pull secrets"
    elif any(set(volume) - MIRROR_VOLUMES for volume in spec.get("volumes") or ()):
        reason = "a mirror pod's volumes may only be emptyDir, hostPath or downwardAPI"
    elif any(c.get("envFrom") for c in containers) or any(
        {"configMapKeyRef", "secretKeyRef"} & set(s) for s in sources
    ):
        reason = "a mirror pod's environment may not refer to ConfigMaps or Secrets"
    elif any((o.get("kind"), o.get("name")) != ("Node", node) for o in owners):
        reason = f"a mirror pod may only be owned by node {node}"
    if reason:
        raise ForbiddenError(f'pods "{request.name}" is forbidden: {reason}')
