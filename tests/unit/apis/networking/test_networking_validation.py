"""What Ingresses, their classes and network policies may say."""

import pytest

from windlass.apis.networking.v1.ingress import IngressStrategy
from windlass.apis.networking.v1.ingress_class import IngressClassStrategy
from windlass.apis.networking.v1.network_policy import NetworkPolicyStrategy


def problems(strategy, spec):
    return [f"{e.field}: {e.message}" for e in strategy.validate({"spec": spec})]


def service(name="web", **port):
    return {"service": {"name": name, "port": port or {"number": 80}}}


def rule(path="/", kind="Prefix", host="shop.example", backend=None):
    return {
        "host": host,
        "http": {"paths": [{"path": path, "pathType": kind, "backend": service() if backend is None else backend}]},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": [rule()]},
        {"rules": [rule(host="*.shop.example")], "tls": [{"hosts": ["*.shop.example"], "secretName": "s"}]},
        {"rules": [rule("", "ImplementationSpecific", "")]},
        {"defaultBackend": service(name="http-port")},
        {"defaultBackend": {"resource": {"kind": "Bucket", "name": "b"}}},
        {"rules": [{"host": "only.example"}]},
    ],
)
def test_good_ingresses(spec):
    assert problems(IngressStrategy(), spec) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "spec: Invalid value"),
        ({"rules": [rule(host="10.0.0.1")]}, "must be a DNS name, not an IP address"),
        ({"rules": [rule(host="a.*.b")]}, "spec.rules[0].host"),
        ({"rules": [rule("a")]}, "spec.rules[0].http.paths[0].path: Invalid value"),
        ({"rules": [rule("/a//b", "Exact")]}, "must not contain '//'"),
        ({"rules": [rule("/a/..")]}, "cannot end with '/..'"),
        ({"rules": [rule("/a%2fb")]}, "must not contain '%2f'"),
        ({"rules": [rule("a", "ImplementationSpecific")]}, "must be an absolute path"),
        ({"rules": [{"http": {"paths": []}}]}, "spec.rules[0].http.paths: Required value"),
        ({"rules": [rule(backend={})]}, "port name or number is required"),
        ({"rules": [rule(backend={"service": {"name": "Web", "port": {"number": 1}}})]}, "service.name: Invalid value"),
        ({"rules": [rule(backend={"service": {"name": "web", "port": {}}})]}, "port name or number is required"),
        ({"defaultBackend": service(name="w", number=99999)}, "spec.defaultBackend.service.port.number"),
        ({"defaultBackend": {"service": {"name": "w", "port": {"name": "a", "number": 1}}}}, "cannot set both"),
        ({"defaultBackend": {**service(), "resource": {"kind": "B", "name": "b"}}}, "cannot set both resource"),
        ({"rules": [rule()], "ingressClassName": "A_B"}, "spec.ingressClassName"),
        ({"rules": [rule()], "tls": [{"hosts": ["-"]}]}, "spec.tls[0].hosts[0]"),
    ],
)
def test_bad_ingresses(spec, said):
    assert any(said in problem for problem in problems(IngressStrategy(), spec))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"controller": "example.com/nginx"}, None),
        ({"controller": "nginx"}, "domain-prefixed"),
        ({"controller": "e.com/" + "x" * 250}, "no more than 250"),
        ({"controller": "e.com/x", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}}, "Required value"),
        (
            {"controller": "e.com/x", "parameters": {"kind": "K", "name": "n", "scope": "Cluster", "namespace": "d"}},
            "Forbidden",
        ),
    ],
)
def test_ingress_classes(spec, said):
    found = problems(IngressClassStrategy(), spec)
    assert (found == []) if said is None else any(said in problem for problem in found)


def test_an_ingress_class_keeps_its_controller():
    old, new = {"spec": {"controller": "a.com/x"}}, {"spec": {"controller": "b.com/x"}}
    assert [e.field for e in IngressClassStrategy().validate_update(new, old)] == ["spec.controller"]


def policy(peer=None, port=None):
    return {"podSelector": {}, "ingress": [{"from": [peer] if peer else [], "ports": [port] if port else []}]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"podSelector": {}}, None),
        (policy({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}), None),
        (policy({"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}), None),
        (policy(port={"port": 80, "endPort": 90}), None),
        (policy({}), None),
        (policy({"podSelector": None}), "must specify a peer"),
        (policy({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}), "may not specify both"),
        (policy({"ipBlock": {"cidr": "10.0.0.0"}}), "ipBlock.cidr"),
        (policy({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}), "strict subset"),
        (policy({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}), "strict subset"),
        (policy({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/8"]}}), "strict subset"),
        (policy(port={"endPort": 90}), "ports[0].port: Required value"),
        (policy(port={"port": "http", "endPort": 90}), "non-numeric"),
        (policy(port={"port": 80, "endPort": 70}), "greater than or equal"),
        ({"podSelector": {"matchLabels": {"a b": "c"}}}, "spec.podSelector"),
    ],
)
def test_network_policies(spec, said):
    found = problems(NetworkPolicyStrategy(), spec)
    assert (found == []) if said is None else any(said in problem for problem in found), found


def test_a_policy_closes_what_it_has_rules_for():
    obj = {"spec": {"podSelector": {}, "egress": [{}]}}
    NetworkPolicyStrategy().default(obj)
    assert obj["spec"]["policyTypes"] == ["Ingress", "Egress"]
    plain = {"spec": {"podSelector": {}}}
    NetworkPolicyStrategy().default(plain)
    assert plain["spec"]["policyTypes"] == ["Ingress"]
