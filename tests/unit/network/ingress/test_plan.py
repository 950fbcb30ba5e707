"""From Ingresses to sites and to nginx's text; what is wrong leaves out only itself."""

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from windlass_network.ingress.certificates import read_certificate
from windlass_network.ingress.model import Cluster, served_by_us
from windlass_network.ingress.nginx_config import Listen, render
from windlass_network.ingress.plan import group_slices, plan_ingress


def make_secret(name="tls", host="a.example", other_key=False):
    key, second = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept = (second if other_key else key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = {"tls.crt": certificate.public_bytes(Encoding.PEM), "tls.key": kept}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "type": "kubernetes.io/tls",
        "data": {field: base64.b64encode(value).decode() for field, value in data.items()},
    }


def service(name="web", **spec):
    ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": ports, **spec}}


def slice_of(service_name="web", *addresses, ready=True):
    return {
        "metadata": {
            "name": f"{service_name}-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [a], "conditions": {"ready": ready}} for a in addresses],
        "ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": 8081}],
    }  # fmt: skip


def path(text="/", kind="Prefix", name="web", port=None):
    return {"path": text, "pathType": kind, "backend": {"service": {"name": name, "port": port or {"number": 80}}}}


def ingress(name="main", *paths, host="a.example", created="2026-01-01T00:00:00Z", annotations=None, **spec):
    rule = {"http": {"paths": list(paths or [path()])}}
    rule = {**rule, "host": host} if host else rule
    prefixed = {f"nginx.ingress.kubernetes.io/{key}": value for key, value in (annotations or {}).items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "creationTimestamp": created, "annotations": prefixed,
        },
        "spec": {"rules": [rule], **spec},
    }  # fmt: skip


def plan(*ingresses, services=None, slices=None, secrets=()):
    services = services if services is not None else [service(), service("next")]
    slices = slices if slices is not None else [slice_of("web", "10.0.0.1", "10.0.0.2"), slice_of("next", "10.0.0.3")]
    cluster = Cluster(
        ingresses,
        {f"shop/{one['metadata']['name']}": one for one in services},
        group_slices({one["metadata"]["name"]: one for one in slices}),
        {f"shop/{one['metadata']['name']}": one for one in secrets},
    )
    return plan_ingress(cluster, read_certificate)


def site(found, host="a.example"):
    return next(one for one in found.sites if one.host == host)


def reasons(found):
    return sorted(problem.reason for problem in found.problems)


def test_requests_go_straight_to_ready_endpoints():
    found = plan(ingress("main", path(), path("/admin", port={"name": "admin"})))
    assert found.upstreams == {
        "shop.web.80": ["10.0.0.1:8080", "10.0.0.2:8080"],
        "shop.web.81": ["10.0.0.1:8081", "10.0.0.2:8081"],
    }
    assert [(one.path, one.backend.upstream) for one in site(found).locations] == [
        ("/", "shop.web.80"), ("/admin", "shop.web.81"),
    ]  # fmt: skip
    assert found.problems == []


def test_unready_endpoints_get_nothing():
    found = plan(ingress(), slices=[slice_of("web", "10.0.0.1", ready=False)])
    assert site(found).locations[0].backend is None
    assert "return 503;" in render(found, Listen())


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "no address"])
def test_addresses_that_are_no_pods_are_left_out_and_told(address):
    found = plan(ingress(), slices=[slice_of("web", address, "10.0.0.1")])
    assert found.upstreams["shop.web.80"] == ["10.0.0.1:8080"]
    assert reasons(found) == ["InvalidEndpoint"]


def test_mistakes_are_told_and_the_rest_works():
    found = plan(
        ingress("one", path("/a", name="none"), path("/b", port={"name": "none"}), path("/c\n}"), path("/d")),
        ingress("two", host="no host", created="2026-01-02T00:00:00Z"),
        ingress("three", path("/d", name="next"), created="2026-01-03T00:00:00Z"),
        ingress("four", path("/e", name="out"), created="2026-01-04T00:00:00Z"),
        services=[service(), service("next"), service("out", type="ExternalName", externalName="localhost")],
    )
    wanted = [
        "DuplicatePath",
        "InvalidHost",
        "InvalidPath",
        "ServiceNotFound",
        "ServicePortNotFound",
        "UnsupportedBackend",
    ]
    assert reasons(found) == wanted
    working = {one.path: one.backend.upstream for one in site(found).locations if one.backend}
    assert working == {"/d": "shop.web.80"}
    assert {problem.obj["metadata"]["name"] for problem in found.problems if problem.reason == "DuplicatePath"} == {
        "three"
    }


def test_tls_needs_a_certificate_that_fits_its_key():
    secrets = [make_secret("good"), make_secret("bad", other_key=True)]
    tls = [{"hosts": ["a.example"], "secretName": "good"}]
    found = plan(
        ingress("one", tls=tls),
        ingress("two", host="b.example", tls=[{"secretName": "bad"}]),
        ingress("three", host="c.example", tls=[{"secretName": "missing"}]),
        secrets=secrets,
    )
    assert [(one.host, one.certificate) for one in found.sites if one.host] == [
        ("a.example", "shop/good"), ("b.example", ""), ("c.example", ""),
    ]  # fmt: skip
    assert reasons(found) == ["BadCertificate", "BadCertificate"]
    assert any("do not belong together" in problem.message for problem in found.problems)
    assert "PRIVATE" not in "".join(problem.message for problem in found.problems)


@pytest.mark.parametrize("field", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("value", ["", "!!!", base64.b64encode(b"noise").decode()])
def test_a_damaged_secret_says_what_is_wrong(field, value):
    secret = make_secret()
    secret["data"][field] = value
    with pytest.raises(ValueError, match="tls"):
        read_certificate(secret)


def test_a_canary_takes_its_share():
    canary = ingress("new", path(name="next"), annotations={"canary": "true", "canary-weight": "20"})
    found = plan(canary, ingress())
    location = site(found).locations[0]
    assert (location.backend.upstream, location.canary.upstream, location.weight) == ("shop.web.80", "shop.next.80", 20)
    text = render(found, Listen())
    assert "20% shop.next.80; * shop.web.80; }" in text
    alone = plan(canary)
    assert reasons(alone) == ["CanaryAlone"]
    wrong = plan(ingress(), ingress("new", annotations={"canary": "true", "canary-weight": "20; }"}))
    assert reasons(wrong) == ["InvalidAnnotation"]


def test_the_default_backend_takes_what_no_rule_takes():
    backend = {"service": {"name": "next", "port": {"number": 80}}}
    found = plan(ingress("one", path("/a"), defaultBackend=backend))
    assert {one.path: one.backend.upstream for one in site(found).locations} == {
        "/": "shop.next.80",
        "/a": "shop.web.80",
    }
    assert site(found, "").locations[0].backend.upstream == "shop.next.80"


def test_only_our_class_is_served_and_the_default_class_where_none_is_named():
    def ingress_class(name, controller="windlass.dev/nginx", default=False):
        annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
        return {"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}}

    unnamed, ours = ingress("unnamed"), ingress("ours", ingressClassName="nginx")
    other = ingress("other", ingressClassName="traefik")
    everything = [other, unnamed, ours]
    classes = [ingress_class("nginx"), ingress_class("traefik", "traefik.io/controller")]
    assert [one["metadata"]["name"] for one in served_by_us(everything, classes)] == ["ours"]
    classes = [ingress_class("nginx", default=True), ingress_class("traefik", "traefik.io/controller")]
    assert [one["metadata"]["name"] for one in served_by_us(everything, classes)] == ["ours", "unnamed"]


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_of_users_leaves_its_quotes(host, where, size, protocol):
    """Whatever stands in an Ingress, braces and quotes of the configuration stay balanced and no line is added."""
    annotations = {"proxy-body-size": size, "backend-protocol": protocol}
    plain = render(plan(ingress("i", path("/x"), host="h")), Listen())
    found = plan(ingress("i", path("/" + where, "Exact"), host=host or "h", annotations=annotations))
    text = render(found, Listen())
    assert text.count("\n") <= plain.count("\n")
    for line in text.splitlines():
        assert line.count('"') % 2 == 0
