"""A node's certificate may write only its own Node, and not what steers scheduling onto it."""

from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
RESTRICTED_LABEL_PREFIX = "node-restriction.kubernetes.io/"


class NodeRestriction:
    """Second line behind the node authoriser: looks inside what a node writes (faults S50)."""

    name = "NodeRestriction"

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
