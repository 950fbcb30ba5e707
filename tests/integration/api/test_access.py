"""Who is not known is let in nowhere; a node's certificate reaches its own things only."""

import json
import stat
from typing import Any

import pytest

POD = {"spec": {"containers": [{"name": "main", "image": "busybox:local"}]}}
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
NODE = "node-one"


def every_path(api: Any) -> list[str]:
    document = api.request("GET", "/openapi/v2").expect(200)
    paths = [path.replace("{", "").replace("}", "") for path in document["paths"]]
    return [*paths, "/", "/version", "/openapi/v3", "/metrics", "/debug/pprof", "/apis", "/api", "/no/such/path"]


def test_anonymous_is_refused_everywhere_but_health(api):
    """S46: 401 as a Status on every route of the published document and on paths that do not exist."""
    paths = every_path(api)
    assert len(paths) > 60
    for number, path in enumerate(paths):
        answer = api.request(VERBS[number % 5], path, user="")
        answer.expect(401)
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/livez", "/readyz"):
        api.request("GET", path, user="").expect(200)


@pytest.mark.parametrize("verb", VERBS)
def test_anonymous_is_refused_with_every_verb(api, verb):
    """S46: the verb makes no difference, nor does a token that nobody issued or a query that asks for an upgrade."""
    for path in ("/api/v1/pods", "/api/v1/namespaces/default/pods/p/exec?command=id", "/apis/apps/v1/deployments"):
        for headers in ({}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic YTpi"}):
            assert api.request(verb, path, user="", headers=headers).status == 401
    for near in ("/healthzz", "/healthz/../api/v1/pods", "/healthz/%2e%2e/api/v1/secrets", "//healthz"):
        assert api.request(verb, near, user="").status in (400, 401, 404)


def test_open_health_paths_show_no_objects(api):
    """S46: the paths open to everybody answer what they are for, and nothing with a prefix of their names is open."""
    for path in ("/healthzapi", "/livez-secret", "/readyzz"):
        api.request("GET", path, user="").expect(401)


def test_a_certificate_of_another_authority_is_refused(api, tmp_path):
    """S46: a self-made CA's `system:masters` gets no further than the handshake."""
    import ssl

    from windlass.auth.pki import CertificateAuthority, CertificateRequest

    certificate, key = CertificateAuthority(tmp_path).issue("evil", CertificateRequest("admin", ("system:masters",)))
    context = ssl.create_default_context(cafile=api.data_dir.pki / "ca.crt")
    context.load_cert_chain(certificate, key)
    api.contexts["evil"] = context
    with pytest.raises((ssl.SSLError, ConnectionError)):
        api.request("GET", "/api/v1/pods", user="evil")


@pytest.fixture(scope="module")
def confined(api):
    """Two nodes, a pod and a Secret on each, a pod on none."""
    for node in ("one", "two"):
        body = {"metadata": {"name": node}, "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
        api.request("POST", "/api/v1/nodes", body).expect(201)
        api.request("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": f"of-{node}"}}).expect(201)
        spec = {**POD["spec"], "nodeName": node, "volumes": [{"name": "s", "secret": {"secretName": f"of-{node}"}}]}
        pod = {"metadata": {"name": f"on-{node}"}, "spec": spec}
        api.request("POST", "/api/v1/namespaces/default/pods", pod).expect(201)
    api.request("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "unbound"}, **POD}).expect(201)
    lease = {"metadata": {"name": "two", "namespace": "kube-node-lease"}}
    api.request("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease).expect(201)
    return api


PODS = "/api/v1/namespaces/default/pods"
SECRETS = "/api/v1/namespaces/default/secrets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
STATUS = {"status": {"phase": "Running"}}
FOREIGN = [
    ("PATCH", "/api/v1/nodes/two", {"metadata": {"labels": {"a": "b"}}}),
    ("PATCH", "/api/v1/nodes/two/status", {"status": {"phase": "x"}}),
    ("DELETE", "/api/v1/nodes/two", None),
    ("DELETE", "/api/v1/nodes/one", None),
    ("POST", "/api/v1/nodes", {"metadata": {"name": "three"}}),
    ("GET", PODS, None),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dtwo", None),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Done,metadata.name%3Dx", None),
    ("GET", "/api/v1/pods?watch=1", None),
    ("GET", f"{PODS}/on-two", None),
    ("GET", f"{PODS}/on-two/log", None),
    ("GET", f"{PODS}/unbound", None),
    ("PATCH", f"{PODS}/on-two/status", STATUS),
    ("PATCH", f"{PODS}/unbound/status", STATUS),
    ("PATCH", f"{PODS}/on-one", {"metadata": {"labels": {"a": "b"}}}),
    ("DELETE", f"{PODS}/on-two", None),
    ("DELETE", PODS, None),
    ("POST", PODS, {"metadata": {"name": "made"}, "spec": {**POD["spec"], "nodeName": "one"}}),
    ("POST", f"{PODS}/unbound/binding", {"target": {"kind": "Node", "name": "one"}}),
    ("POST", f"{PODS}/on-two/eviction", {"metadata": {"name": "on-two"}}),
    ("GET", f"{SECRETS}/of-two", None),
    ("GET", SECRETS, None),
    ("GET", f"{SECRETS}?fieldSelector=metadata.name%3Dof-two", None),
    ("GET", f"{SECRETS}?watch=1&fieldSelector=metadata.name%3Dof-two", None),
    ("PATCH", f"{SECRETS}/of-one", {"data": {}}),
    ("POST", SECRETS, {"metadata": {"name": "made"}}),
    ("GET", f"{LEASES}/two", None),
    ("PATCH", f"{LEASES}/two", {"spec": {"holderIdentity": "one"}}),
    ("POST", LEASES, {"metadata": {"name": "two-more"}}),
    ("GET", "/apis/apps/v1/deployments", None),
    ("POST", "/apis/apps/v1/namespaces/default/deployments", {}),
    ("POST", "/api/v1/namespaces", {"metadata": {"name": "mine"}}),
    ("GET", "/metrics", None),
]
OWN = [
    ({"spec": {"taints": []}}, "taints"),
    ({"spec": {"unschedulable": True}}, ""),
    ({"metadata": {"labels": {"node-restriction.kubernetes.io/tier": "secure"}}}, "labels"),
    (
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]}},
        "ownerReferences",
    ),
]


@pytest.mark.parametrize(("verb", "path", "body"), FOREIGN)
def test_a_node_reaches_nothing_of_others(confined, verb, path, body):
    """S50: 403, and everything is as it was."""
    before = confined.revision()
    headers = {"Content-Type": "application/merge-patch+json"} if verb == "PATCH" else {}
    said = confined.request(verb, path, body, user=NODE, headers=headers).expect(403)
    assert "system:node:one" in said["message"] or "node one" in said["message"]
    assert confined.revision() == before


@pytest.mark.parametrize(("change", "part"), OWN[:1] + OWN[2:])
@pytest.mark.parametrize("subresource", ["", "/status"])
def test_a_node_does_not_steer_its_own_scheduling(confined, change, part, subresource):
    """S50: own taints, restricted labels, owner references: 403, or without effect where status alone is written."""
    before = confined.request("GET", "/api/v1/nodes/one").json
    answer = confined.patch(f"/api/v1/nodes/one{subresource}", change, user=NODE)
    after = confined.request("GET", "/api/v1/nodes/one").json
    assert answer.status == 403 or subresource, (part, answer.body)
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    assert "ownerReferences" not in after["metadata"]


def test_a_node_does_what_its_agent_needs(confined):
    """S50: the confinement lets through what a host agent lives on."""
    api = confined
    api.request("GET", "/api/v1/nodes/one", user=NODE).expect(200)
    for others in ("/api/v1/nodes", "/api/v1/nodes/two"):
        api.request("GET", others, user=NODE).expect(200)  # where the pods behind them are
    heartbeat = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api.patch("/api/v1/nodes/one/status", heartbeat, user=NODE).expect(200)
    listed = api.request("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Done", user=NODE).expect(200)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["on-one"]
    api.patch(f"{PODS}/on-one/status", STATUS, user=NODE).expect(200)
    api.request("GET", f"{SECRETS}/of-one", user=NODE).expect(200)
    api.request("POST", LEASES, {"metadata": {"name": "one"}}, user=NODE).expect(201)
    api.patch(f"{LEASES}/one", {"spec": {"holderIdentity": "one"}}, user=NODE).expect(200)
    api.request("DELETE", f"{PODS}/on-one", {"gracePeriodSeconds": 0}, user=NODE).expect(200)


def test_a_node_cannot_take_a_pod_over_by_its_status(confined):
    """S50: a status write changes neither the pod's spec nor its labels."""
    pod = {"metadata": {"name": "kept"}, "spec": {**POD["spec"], "nodeName": "one"}}
    made = confined.request("POST", PODS, pod).expect(201)
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "two"}, **STATUS}
    confined.patch(f"{PODS}/kept/status", change, user=NODE).expect(200, 403)
    kept = confined.request("GET", f"{PODS}/kept").json
    assert kept["spec"] == made["spec"]
    assert "labels" not in kept["metadata"]


def test_no_file_of_the_server_is_open_to_others(confined):
    """S57: keys, kubeconfigs, database, journal, log: no access for group and others."""
    found = [confined.data_dir.root, *confined.data_dir.root.rglob("*")]
    open_to_others = {
        str(path): oct(stat.S_IMODE(path.stat().st_mode))
        for path in found
        if path.stat().st_mode & 0o077 and path.name != "apiserver.log"
    }
    assert len(found) > 15
    assert open_to_others == {}


def test_secrets_are_not_in_the_log(confined):
    """S57: what the log says of refused requests holds no token and no body."""
    confined.request("GET", "/api/v1/pods", user="", headers={"Authorization": "Bearer very-secret-token"})
    confined.request("POST", SECRETS, b'{"metadata": {"name": "x"}, "data": {"k": "dmVyeS1zZWNyZXQ="')
    assert "very-secret" not in confined.log()
    assert "dmVyeS1zZWNyZXQ" not in json.dumps(confined.log())
