"""The Kubernetes DNS specification 1.1.0, name by name, against the pure resolver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_hostagent.dns_server.records import NXDOMAIN, SERVFAIL, dashed, labels_of, undashed

SVC = "svc.cluster.local"


@pytest.fixture
def ask(resolver):
    def ask(name, kind="A"):
        answer = resolver.resolve(labels_of(name), kind)
        return answer if answer is None else (answer.code, sorted(" ".join(map(str, r.values)) for r in answer.records))

    return ask


NODATA, NO_NAME = (0, []), (NXDOMAIN, [])


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        (f"web.shop.{SVC}", "A", ["10.96.0.20"]),
        (f"WEB.Shop.{SVC.upper()}", "A", ["10.96.0.20"]),
        (f"both.shop.{SVC}", "A", ["10.96.0.21"]),
        (f"both.shop.{SVC}", "AAAA", ["fd00:96::21"]),
        (f"kubernetes.default.{SVC}", "A", ["10.96.0.1"]),
        (f"_http._tcp.web.shop.{SVC}", "SRV", [f"0 100 80 web.shop.{SVC}"]),
        (f"_dns._udp.web.shop.{SVC}", "SRV", [f"0 100 53 web.shop.{SVC}"]),
        (f"web.shop.{SVC}", "SRV", [f"0 100 53 web.shop.{SVC}", f"0 100 80 web.shop.{SVC}"]),
        (f"db.shop.{SVC}", "A", ["10.244.1.5", "10.244.1.6"]),
        (f"db.shop.{SVC}", "AAAA", ["fd00:10::5"]),
        (f"db-0.db.shop.{SVC}", "A", ["10.244.1.5"]),
        (f"db-0.db.shop.{SVC}", "AAAA", ["fd00:10::5"]),
        (f"_sql._tcp.db.shop.{SVC}", "SRV", [f"0 50 5432 db-0.db.shop.{SVC}", f"0 50 5432 db-1.db.shop.{SVC}"]),
        (f"early.shop.{SVC}", "A", ["10.244.1.8"]),
        (f"10-244-1-8.early.shop.{SVC}", "A", ["10.244.1.8"]),
        (f"elsewhere.shop.{SVC}", "A", ["example.com"]),
        (f"elsewhere.shop.{SVC}", "CNAME", ["example.com"]),
        ("10-244-3-4.shop.pod.cluster.local", "A", ["10.244.3.4"]),
        ("fd00-10--7.shop.pod.cluster.local", "AAAA", ["fd00:10::7"]),
        ("20.0.96.10.in-addr.arpa", "PTR", [f"web.shop.{SVC}"]),
        ("5.1.244.10.in-addr.arpa", "PTR", [f"db-0.db.shop.{SVC}"]),
        ("dns-version.cluster.local", "TXT", ["1.1.0"]),
        ("cluster.local", "NS", ["ns.dns.cluster.local"]),
        ("ns.dns.cluster.local", "A", ["10.244.1.1"]),
    ],
)  # fmt: skip
def test_a_name_has_its_records(ask, name, kind, wanted):
    """C182, C184, C185: Services, headless Services, their endpoints, SRV and reverse names."""
    assert ask(name, kind) == (0, wanted)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"web.shop.{SVC}", "AAAA"), (f"web.shop.{SVC}", "TXT"), (f"_tcp.web.shop.{SVC}", "SRV"), (f"shop.{SVC}", "A"),
        (SVC, "A"), ("cluster.local", "A"), ("pod.cluster.local", "A"), ("shop.pod.cluster.local", "A"),
        ("10-244-3-4.shop.pod.cluster.local", "AAAA"), ("20.0.96.10.in-addr.arpa", "A"), ("dns.cluster.local", "A"),
        (f"db-1.db.shop.{SVC}", "AAAA"),
    ],
)  # fmt: skip
def test_a_name_without_such_records_has_no_data(ask, name, kind):
    assert ask(name, kind) == NODATA


@pytest.mark.parametrize(
    "name",
    [
        f"web.other.{SVC}", f"none.shop.{SVC}", f"other.{SVC}", f"db-2.db.shop.{SVC}", f"empty.shop.{SVC}",
        f"_none._tcp.web.shop.{SVC}", f"_http._udp.web.shop.{SVC}", f"_udp.db.shop.{SVC}", f"x.y.z.web.shop.{SVC}",
        "8-8-8-8.shop.pod.cluster.local", "999-1-1-1.shop.pod.cluster.local", "x.shop.pod.cluster.local",
        "a.10-244-3-4.shop.pod.cluster.local", "nothing.cluster.local", f"http._tcp.web.shop.{SVC}",
        "7.1.244.10.in-addr.arpa", "99.0.96.10.in-addr.arpa", f"a.elsewhere.shop.{SVC}", f"*.shop.{SVC}",
    ],
)  # fmt: skip
def test_a_name_that_nothing_has_does_not_exist(ask, name):
    """K82: a spoofed suffix, a pod's name outside the pods' ranges, another namespace."""
    for kind in ("A", "AAAA", "SRV", "PTR"):
        assert ask(name, kind) == NO_NAME


@pytest.mark.parametrize(
    "name",
    ["example.com", "cluster.local.example.com", "local", "1.1.1.1.in-addr.arpa", "10.in-addr.arpa", "xcluster.local"],
)
def test_other_names_are_somebody_elses(ask, name):
    assert ask(name) is None


def test_a_dot_inside_a_label_is_no_border(resolver):
    """K82: one label `svc.cluster` does not end in our zone."""
    assert resolver.resolve(("web", "shop", "svc.cluster", "local"), "A") is None
    assert resolver.resolve(("web.shop", "svc", "cluster", "local"), "A").code == NXDOMAIN


def test_services_without_endpoints_keep_their_address(ask):
    assert ask(f"both.shop.{SVC}") == (0, ["10.96.0.21"])


def test_nothing_is_denied_before_the_cluster_is_known(view, ask):
    """A NXDOMAIN would be remembered by others; the truth is that we do not know yet."""
    view.is_ready = False
    assert ask(f"web.shop.{SVC}") == (SERVFAIL, [])
    assert ask("20.0.96.10.in-addr.arpa", "PTR") == (SERVFAIL, [])
    assert ask("example.com") is None


def test_srv_answers_bring_their_targets_addresses(resolver):
    answer = resolver.resolve(labels_of(f"_sql._tcp.db.shop.{SVC}"), "SRV")
    assert {(r.name[0], r.type, r.values[0]) for r in answer.additional} == {
        ("db-0", "A", "10.244.1.5"), ("db-0", "AAAA", "fd00:10::5"), ("db-1", "A", "10.244.1.6"),
    }  # fmt: skip


@given(st.ip_addresses())
def test_every_address_survives_being_a_label(address):
    label = dashed(str(address))
    assert undashed(label) == address
    assert not label.startswith("-")
    assert not label.endswith("-")


@given(st.lists(st.text(min_size=1, max_size=12), max_size=7), st.sampled_from(["A", "AAAA", "SRV", "PTR", "TXT"]))
def test_no_name_is_too_strange(resolver_of_all, labels, kind):
    """K82."""
    resolver_of_all.resolve((*labels, "svc", "cluster", "local"), kind)
    resolver_of_all.resolve((*labels, "cluster", "local"), kind)
    resolver_of_all.resolve(tuple(labels), kind)
    resolver_of_all.resolve((*labels, "in-addr", "arpa"), kind)


@pytest.fixture(scope="module")
def resolver_of_all():
    import ipaddress

    from windlass_hostagent.dns_server.records import Zone
    from windlass_hostagent.dns_server.resolver import Resolver

    class Everything:
        def ready(self):
            return True

        def has_namespace(self, namespace):
            return True

        def service(self, namespace, name):
            return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": "None"}}

        def slices(self, namespace, service):
            return [{"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 1}]}]

        def services_at(self, address):
            return []

        slices_with = services_at

    return Resolver(Everything(), Zone(pod_ranges=[ipaddress.ip_network("10.0.0.0/8")]))
