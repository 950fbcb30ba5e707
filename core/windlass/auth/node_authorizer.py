"""What a host agent's certificate may do: its own Node and Lease, all Nodes to read, its own pods, and what those pods refer to."""

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.plugin.interfaces.authn import Attributes, Decision, ObjectReader

NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
ALLOWED = Decision(True)
CLUSTER_READS = frozenset({("", "services"), ("discovery.k8s.io", "endpointslices"), ("node.k8s.io", "runtimeclasses")})
READ_VERBS = frozenset({"get", "list", "watch"})


def _denied(reason: str) -> Decision:
    return Decision(False, reason)


class NodeAuthorizer:
    """Confines `system:node:NAME` in group `system:nodes` to what its agent needs (faults S50)."""

    def authorize(self, attributes: Attributes, reader: ObjectReader) -> Decision:
        """Decide on a node's request; no opinion on anybody else's."""
        user = attributes.user
        if NODE_GROUP not in user.groups or not user.name.startswith(NODE_PREFIX):
            return Decision(None)
        node = user.name.removeprefix(NODE_PREFIX)
        match attributes.group, attributes.resource:
            case "", "nodes":
                return _own_node(attributes, node)
            case "coordination.k8s.io", "leases":
                return _own_lease(attributes, node)
            case "", "pods":
                return _own_pods(attributes, node, reader)
            case ("", "configmaps") | ("", "secrets"):
                return _referenced(attributes, node, reader)
            case "", "serviceaccounts":
                return _own_tokens(attributes, node, reader)
            case ("", "events") | ("events.k8s.io", "events"):
                return (
                    ALLOWED if attributes.verb in ("create", "patch", "update") else _denied("nodes only write events")
                )
            case group_resource if group_resource in CLUSTER_READS and attributes.verb in READ_VERBS:
                return ALLOWED
        return Decision(None)


def _own_node(attributes: Attributes, node: str) -> Decision:
    if attributes.verb == "create" and not attributes.subresource:
        # The registry's admission holds a new Node's name against the user's.
        return ALLOWED
    if (
        attributes.name == node
        and attributes.verb in ("get", "update", "patch")
        and attributes.subresource in ("", "status")
    ):
        return ALLOWED
    if attributes.verb in READ_VERBS and not attributes.subresource:
        # Where the other nodes are, and which pods' addresses are theirs: without it there are no routes to them.
        return ALLOWED
    return _denied(f"node {node} may only update its own Node")


def _own_lease(attributes: Attributes, node: str) -> Decision:
    own = attributes.namespace == LEASE_NAMESPACE and (attributes.name == node or attributes.verb == "create")
    if own and attributes.verb in ("get", "create", "update", "patch"):
        return ALLOWED
    return _denied(f"node {node} may only use Lease {LEASE_NAMESPACE}/{node}")


def _own_pods(attributes: Attributes, node: str, reader: ObjectReader) -> Decision:
    if attributes.verb in ("list", "watch"):
        if attributes.field_selector == f"spec.nodeName={node}":
            return ALLOWED
        return _denied(f"node {node} may only list pods with fieldSelector spec.nodeName={node}")
    if attributes.verb == "create" and not attributes.subresource:
        # Mirrors of static pods; NodeRestriction looks at what the pod is.
        return ALLOWED
    if (
        attributes.verb == "get"
        or (attributes.verb in ("update", "patch") and attributes.subresource == "status")
        or (attributes.verb == "delete" and not attributes.subresource)
    ):
        pod = reader.get("pods", attributes.namespace, attributes.name)
        if pod is None or pod.get("spec", {}).get("nodeName") == node:
            return ALLOWED
    return _denied(
        f"pod {attributes.namespace}/{attributes.name} is not bound to node {node}, or nodes may not do that"
    )


def _own_tokens(attributes: Attributes, node: str, reader: ObjectReader) -> Decision:
    """Tokens of the accounts that the node's pods run as; whether it is bound to such a pod is checked with the body."""
    if attributes.verb == "create" and attributes.subresource == "token":
        for pod in reader.list("pods", attributes.namespace):
            spec = pod.get("spec", {})
            if spec.get("nodeName") == node and spec.get("serviceAccountName") == attributes.name:
                return ALLOWED
    return _denied(f"no pod on node {node} runs as service account {attributes.namespace}/{attributes.name}")


def _referenced(attributes: Attributes, node: str, reader: ObjectReader) -> Decision:
    kind, name = attributes.resource, attributes.name
    if attributes.verb in ("list", "watch"):
        # One object at a time: a path of a collection has no name, so the field selector has to say it.
        field, _, name = attributes.field_selector.partition("metadata.name=")
        name = "" if field or "," in name else name
    if attributes.verb in READ_VERBS and name and attributes.namespace:
        for pod in reader.list("pods", attributes.namespace):
            spec = pod.get("spec", {})
            if spec.get("nodeName") == node and name in set(_references(spec, kind)):
                return ALLOWED
    return _denied(f"no pod on node {node} refers to {kind} {attributes.namespace}/{name}")


def _references(spec: Mapping[str, Any], resource: str) -> Iterator[str]:
    """Yield the names of ConfigMaps or Secrets that a pod refers to."""
    key, source_key, volume = (
        ("configMapKeyRef", "configMapRef", "configMap")
        if resource == "configmaps"
        else ("secretKeyRef", "secretRef", "secret")
    )
    for container in (
        *spec.get("initContainers", ()),
        *spec.get("containers", ()),
        *spec.get("ephemeralContainers", ()),
    ):
        for variable in container.get("env", ()):
            yield variable.get("valueFrom", {}).get(key, {}).get("name", "")
        for source in container.get("envFrom", ()):
            yield source.get(source_key, {}).get("name", "")
    for declared in spec.get("volumes", ()):
        for source in (declared, *declared.get("projected", {}).get("sources", ())):
            named = source.get(volume, {})
            yield named.get("secretName") or named.get("name", "")
    if resource == "secrets":
        for reference in spec.get("imagePullSecrets", ()):
            yield reference.get("name", "")
