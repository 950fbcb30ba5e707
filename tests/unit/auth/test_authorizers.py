"""Who may do what until RBAC comes (S46, S50)."""

import pytest

from windlass.auth.authorizers import AdminAuthorizer, DiscoveryAuthorizer
from windlass.auth.node_authorizer import NodeAuthorizer
from windlass.plugin.interfaces.authn import ANONYMOUS, Attributes, UserInfo

NODE = UserInfo("system:node:n1", ("system:nodes", "system:authenticated"))
BOB = UserInfo("bob", ("system:authenticated",))


def pod(name, node, **spec):
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"nodeName": node, **spec}}


class Reader:
    PODS = (
        pod(
            "mine",
            "n1",
            containers=[
                {
                    "env": [{"valueFrom": {"secretKeyRef": {"name": "s1"}}}],
                    "envFrom": [{"configMapRef": {"name": "c1"}}],
                }
            ],
            volumes=[{"secret": {"secretName": "s2"}}, {"projected": {"sources": [{"configMap": {"name": "c2"}}]}}],
            imagePullSecrets=[{"name": "s3"}],
        ),
        pod("theirs", "n2", containers=[{"env": [{"valueFrom": {"secretKeyRef": {"name": "s9"}}}]}]),
    )

    def get(self, resource, namespace, name):
        return next((p for p in self.PODS if p["metadata"]["name"] == name), None)

    def list(self, resource, namespace=""):
        return self.PODS


def ask(authorizer, user, verb, **attributes):
    return authorizer.authorize(Attributes(user, verb, **attributes), Reader()).allowed


@pytest.mark.parametrize(
    ("verb", "attributes"),
    [
        ("create", {"resource": "nodes"}),
        ("get", {"resource": "nodes", "name": "n2"}),
        ("list", {"resource": "nodes"}),
        ("watch", {"resource": "nodes"}),
        ("patch", {"resource": "nodes", "name": "n1", "subresource": "status"}),
        (
            "update",
            {"group": "coordination.k8s.io", "resource": "leases", "namespace": "kube-node-lease", "name": "n1"},
        ),
        ("watch", {"resource": "pods", "field_selector": "spec.nodeName=n1"}),
        ("patch", {"resource": "pods", "subresource": "status", "namespace": "ns", "name": "mine"}),
        ("delete", {"resource": "pods", "namespace": "ns", "name": "mine"}),
        ("create", {"resource": "pods", "namespace": "ns"}),
        ("get", {"resource": "secrets", "namespace": "ns", "name": "s1"}),
        ("get", {"resource": "secrets", "namespace": "ns", "name": "s2"}),
        ("get", {"resource": "secrets", "namespace": "ns", "name": "s3"}),
        ("get", {"resource": "configmaps", "namespace": "ns", "name": "c1"}),
        ("get", {"resource": "configmaps", "namespace": "ns", "name": "c2"}),
        ("create", {"resource": "events", "namespace": "ns"}),
    ],
)
def test_a_node_may_do_what_its_agent_needs(verb, attributes):
    assert ask(NodeAuthorizer(), NODE, verb, **attributes) is True


@pytest.mark.parametrize(
    ("verb", "attributes"),
    [
        ("patch", {"resource": "nodes", "name": "n2", "subresource": "status"}),
        ("delete", {"resource": "nodes", "name": "n1"}),
        ("update", {"resource": "nodes", "name": "n2"}),
        ("get", {"resource": "nodes", "subresource": "proxy", "name": "n2"}),
        (
            "update",
            {
                "group": "coordination.k8s.io",
                "resource": "leases",
                "namespace": "kube-system",
                "name": "windlass-manager",
            },
        ),
        ("list", {"resource": "pods"}),
        ("watch", {"resource": "pods", "field_selector": "spec.nodeName=n2"}),
        ("patch", {"resource": "pods", "subresource": "status", "namespace": "ns", "name": "theirs"}),
        ("create", {"resource": "pods", "subresource": "eviction", "namespace": "ns", "name": "mine"}),
        ("create", {"resource": "pods", "subresource": "binding", "namespace": "ns", "name": "mine"}),
        ("get", {"resource": "secrets", "namespace": "ns", "name": "s9"}),
        ("list", {"resource": "secrets", "namespace": "ns"}),
        ("get", {"resource": "configmaps", "namespace": "ns", "name": "other"}),
        ("delete", {"resource": "events", "namespace": "ns"}),
    ],
)
def test_a_node_may_do_nothing_else(verb, attributes):
    """S50."""
    assert ask(NodeAuthorizer(), NODE, verb, **attributes) is False


def test_only_administrators_have_it_all():
    assert ask(AdminAuthorizer(), UserInfo("a", ("system:masters",)), "delete", resource="secrets") is True
    assert ask(AdminAuthorizer(), BOB, "get", resource="pods") is None
    assert ask(NodeAuthorizer(), BOB, "get", resource="pods") is None


def test_anonymous_gets_health_and_nothing_more():
    """S46."""
    discovery = DiscoveryAuthorizer()
    assert ask(discovery, ANONYMOUS, "get", path="/readyz") is True
    for path in ("/api", "/apis", "/version", "/openapi/v3", "/metrics", "/livezz"):
        assert ask(discovery, ANONYMOUS, "get", path=path) is None
    assert ask(discovery, BOB, "get", path="/apis") is True
    assert ask(discovery, BOB, "get", path="/metrics") is None
    assert ask(discovery, BOB, "get", resource="pods", path="/api/v1/pods") is None
