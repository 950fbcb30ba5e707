import ipaddress
from copy import deepcopy

import pytest

from windlass_hostagent.dns_server.records import Zone
from windlass_hostagent.dns_server.resolver import Resolver

POD_RANGE, SERVICE_RANGE = ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("10.96.0.0/12")
POD_RANGE_6 = ipaddress.ip_network("fd00:10::/64")


def service(name="web", namespace="shop", ips=("10.96.0.20",), ports=(("http", 80, "TCP"),), **spec):
    headless = not ips and spec.get("type") != "ExternalName"
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": "None" if headless else (ips[0] if ips else ""),
            "clusterIPs": ["None"] if headless else list(ips),
            "ports": [{"name": n, "port": number, "protocol": p} for n, number, p in ports],
            **spec,
        },
    }


def endpoint(address, hostname="", ready=True, **conditions):
    found = {"addresses": [address], "conditions": {"ready": ready, **conditions}}
    return {**found, "hostname": hostname} if hostname else found


def slice_of(endpoints, name="web", namespace="shop", ports=(("http", 8080, "TCP"),), family="IPv4"):
    return {
        "metadata": {"name": f"{name}-x", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": n, "port": number, "protocol": p} for n, number, p in ports],
    }


class FakeView:
    """A cluster as two lists."""

    def __init__(self, services=(), slices=(), ready=True):
        self.services, self.all_slices, self.is_ready = list(services), list(slices), ready

    def ready(self):
        return self.is_ready

    def has_namespace(self, namespace):
        return any(one["metadata"]["namespace"] == namespace for one in self.services)

    def service(self, namespace, name):
        wanted = (namespace, name)
        return next((s for s in self.services if (s["metadata"]["namespace"], s["metadata"]["name"]) == wanted), None)

    def slices(self, namespace, name):
        wanted = (namespace, name)
        return [
            s
            for s in self.all_slices
            if (s["metadata"]["namespace"], s["metadata"]["labels"]["kubernetes.io/service-name"]) == wanted
        ]

    def services_at(self, address):
        return [s for s in self.services if address in s["spec"]["clusterIPs"]]

    def slices_with(self, address):
        return [s for s in self.all_slices if any(address in e["addresses"] for e in s["endpoints"])]


CLUSTER_SERVICES = (
    service("kubernetes", "default", ("10.96.0.1",), (("https", 443, "TCP"),)),
    service(ports=(("http", 80, "TCP"), ("dns", 53, "UDP"))),
    service("both", ips=("10.96.0.21", "fd00:96::21")),
    service("db", ips=(), ports=(("sql", 5432, "TCP"),)),
    service("early", ips=(), publishNotReadyAddresses=True),
    service("empty", ips=()),
    service("elsewhere", ips=(), ports=(), type="ExternalName", externalName="example.com"),
    service("alias", ips=(), ports=(), type="ExternalName", externalName="web.shop.svc.cluster.local"),
    service("loop", ips=(), ports=(), type="ExternalName", externalName="loop.shop.svc.cluster.local"),
)
CLUSTER_SLICES = (
    slice_of(
        [endpoint("10.244.1.5", "db-0"), endpoint("10.244.1.6", "db-1"), endpoint("10.244.1.7", "db-2", ready=False)],
        "db", ports=(("sql", 5432, "TCP"),),
    ),
    slice_of([endpoint("fd00:10::5", "db-0")], "db", ports=(("sql", 5432, "TCP"),), family="IPv6"),
    slice_of([endpoint("10.244.1.8", ready=False)], "early"),
    slice_of([endpoint("10.244.1.9")]),
)  # fmt: skip


@pytest.fixture
def view():
    return FakeView(deepcopy(CLUSTER_SERVICES), deepcopy(CLUSTER_SLICES))


@pytest.fixture
def zone():
    return Zone("cluster.local", [POD_RANGE, POD_RANGE_6], [SERVICE_RANGE], ("10.244.1.1",))


@pytest.fixture
def resolver(view, zone):
    return Resolver(view, zone)
