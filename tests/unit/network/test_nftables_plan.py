"""What Services mean as frontends and as elements, and that the table always is what a fresh one would be."""

import random

import pytest

from windlass.plugin.interfaces.proxy import NodeProxyConfig, ServiceState
from windlass.testing.conformance.proxy import (
    NODE,
    ONE,
    POD_CIDR,
    SERVICE_CIDR,
    TWO,
    WEB,
    endpoint,
    endpoint_slice,
    service,
    state,
)
from windlass_network.nftables.driver import stale_flows
from windlass_network.nftables.frontends import DROP, REFUSE, Endpoint, plan_frontends
from windlass_network.nftables.martians import is_within, martian
from windlass_network.nftables.ruleset import first_picks, render, rules_of, skeleton
from windlass_network.nftables.state import TableState

CONFIG = NodeProxyConfig(NODE, ["192.0.2.1"], [POD_CIDR], [SERVICE_CIDR])


def frontends(whole):
    found, problems = plan_frontends(whole, CONFIG)
    assert not problems
    return found


def rendered(whole):
    return render(frontends(whole))


@pytest.mark.parametrize("spec", [{"type": "ExternalName"}, {"clusterIP": "None"}, {"clusterIP": ""}])
def test_what_has_no_address_has_no_frontend(spec):
    assert frontends(ServiceState(service(**spec))) == []


def test_named_ports_take_the_slices_of_their_name():
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]
    slices = [
        endpoint_slice(endpoint(ONE), name="a", port=8080),
        endpoint_slice(endpoint(TWO), name="b", port=53, protocol="UDP"),
        endpoint_slice(endpoint(TWO), name="b", port=54),
    ]
    tcp, udp = frontends(ServiceState(service(ports=ports), slices))
    assert (tcp.protocol, tcp.endpoints) == ("tcp", (Endpoint(ONE, 8080),))
    assert (udp.protocol, udp.endpoints) == ("udp", (Endpoint(TWO, 53),))


def test_one_endpoint_in_two_slices_counts_once():
    whole = ServiceState(service(), [endpoint_slice(endpoint(ONE)), endpoint_slice(endpoint(ONE))])
    assert frontends(whole)[0].endpoints == (Endpoint(ONE, 8080),)


@pytest.mark.parametrize(("ends", "without"), [([], REFUSE), ([endpoint(ONE, "node-2")], DROP)])
def test_a_local_policy_without_local_endpoints(ends, without):
    """Endpoints elsewhere: dropped, so that a balancer goes elsewhere; none at all: refused."""
    whole = state(*ends, type="NodePort", externalTrafficPolicy="Local", ports=[{"port": 80, "nodePort": 30080}])
    cluster, node = frontends(whole)
    assert bool(cluster.endpoints) == bool(ends)
    assert (node.endpoints, node.without) == ((), without)


def test_both_families_have_their_own():
    six = {"addressType": "IPv6", "endpoints": [endpoint("fd00::2")], "ports": [{"port": 8080}]}
    whole = ServiceState(service(clusterIPs=["10.96.0.20", "fd00:96::20"]), [endpoint_slice(endpoint(ONE)), six])
    assert [(one.family, one.endpoints[0].address) for one in frontends(whole)] == [(4, ONE), (6, "fd00::2")]


def test_a_changed_endpoint_is_a_few_elements_whatever_the_number_of_services():
    table = TableState(first_picks())
    table.change({("default", f"s{n}"): rendered(ServiceState(service(f"s{n}", f"10.96.{n // 250}.{n % 250}"),
                                                              [endpoint_slice(endpoint(ONE))]))
                  for n in range(1000)})  # fmt: skip
    lines, _ = table.change(
        {("default", "s7"): rendered(ServiceState(service("s7", "10.96.0.7"), [endpoint_slice(endpoint(TWO))]))}
    )
    assert sum(line.count(" . ") for line in lines) < 30
    assert table.change({}) == ([], [])


class Kernel:
    """What nft would have after these commands: elements only."""

    def __init__(self):
        self.elements = {}

    def run(self, lines):
        for line in lines:
            verb, _, rest = line.partition(" element inet windlass ")
            if not rest:
                continue
            name, _, listed = rest.partition(" { ")
            for text in listed.removesuffix(" }").split(", "):
                key, _, value = text.partition(" : ")
                if verb == "delete":
                    del self.elements[name, key]
                else:
                    assert (name, key) not in self.elements, f"{text} is there already"
                    self.elements[name, key] = value


def _random_state(dice, name, number):
    ends = [endpoint(ip) for ip in (ONE, TWO) if dice.random() < 0.6]
    spec = {"sessionAffinity": dice.choice(["None", "ClientIP"])}
    if dice.random() < 0.5:
        spec["externalIPs"] = [dice.choice(["203.0.113.1", "203.0.113.2"])]
    return ServiceState(service(name, f"10.96.0.{number}", **spec), [endpoint_slice(*ends)])


@pytest.mark.parametrize("seed", range(40))
def test_any_changes_lead_to_what_a_fresh_table_has(seed):
    """Also where Services claim each other's places: no element twice, none forgotten, none deleted that is not there."""
    dice = random.Random(seed)
    table, kernel, now = TableState(first_picks()), Kernel(), {}
    for _ in range(60):
        changes = {}
        for number in dice.sample(range(2, 8), dice.randint(1, 3)):
            key = "default", f"s{number}"
            changes[key] = None if dice.random() < 0.3 else rendered(_random_state(dice, key[1], number))
        lines, _ = table.change(changes)
        kernel.run(lines)
        for key, one in changes.items():
            now.pop(key, None)
            if one is not None:
                now[key] = one
    fresh, other = TableState(first_picks()), Kernel()
    other.run(fresh.change(now)[0])
    assert {e for e in kernel.elements if "203." not in e[1]} == {e for e in other.elements if "203." not in e[1]}
    claimed = {e[1] for e in kernel.elements if e[0] in ("services4", "unserved4")}
    assert claimed == {e[1] for e in other.elements if e[0] in ("services4", "unserved4")}


def test_udp_flows_that_must_end():
    ports = [{"port": 53, "protocol": "UDP"}]

    def at(*ips):
        return frontends(
            ServiceState(service(ports=ports), [endpoint_slice(*(endpoint(ip) for ip in ips), protocol="UDP")])
        )

    assert stale_flows(at(ONE, TWO), at(TWO)) == {("10.96.0.20", 53, ONE)}
    assert stale_flows(at(), at(ONE)) == {("10.96.0.20", 53, "")}
    assert stale_flows(at(ONE), []) == {("10.96.0.20", 53, ONE)}
    assert stale_flows(frontends(state(endpoint(ONE))), []) == set()


def test_the_skeletons_rules_are_counted():
    counted = rules_of(skeleton([SERVICE_CIDR], [POD_CIDR]))
    assert counted["refuse"] == 2
    assert counted["postrouting"] == 4
    assert counted["refuse-forward"] == 5
    assert WEB == ("default", "web")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.1.2.3", ""), ("fd00::1", ""), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"), ("239.1.1.1", "multicast"), ("ff02::1", "multicast"), ("0.0.0.0", "unspecified"),
        ("255.255.255.255", "unspecified"), ("::", "unspecified"), ("::ffff:127.0.0.1", "disguise"), ("web", "no address"),
    ],
)  # fmt: skip
def test_martians(text, why):
    """K77."""
    assert why in martian(text)
    assert bool(martian(text)) == bool(why)


def test_networks():
    assert is_within("10.96.3.4", ["10.96.0.0/12", "fd00::/64"])
    assert not is_within("10.112.0.0", ["10.96.0.0/12", "fd00::/64"])
    assert is_within("fd00::5", ["10.96.0.0/12", "fd00::/64"])
