"""Which ways to other nodes there are."""

import ipaddress

import pytest

from windlass.plugin.interfaces.network import NodePeer
from windlass_network.bridge import masquerade
from windlass_network.bridge.peers_plan import (
    HOST_GATEWAY,
    VXLAN,
    PeerRoute,
    overlay_interface,
    plan_overlay,
    plan_peers,
    spans_hosts,
    tunnel_mac,
)
from windlass_network.bridge.plan import MAX_INTERFACE_NAME

OWN = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::/64")]
IP = "192.0.2.1"


def plan(mode, *peers):
    return plan_peers(mode, IP, OWN, peers)


def test_the_tunnel_carries_both_families():
    found = plan(VXLAN, NodePeer("b", ("2001:db8::2", "192.0.2.2"), ("10.0.1.0/24", "fd00:0:0:1::/64")))
    mac = tunnel_mac("b")
    assert found.routes == [
        PeerRoute("10.0.1.0/24", "10.0.1.0", mac, "192.0.2.2"),
        PeerRoute("fd00:0:0:1::/64", "fd00:0:0:1::", mac, "192.0.2.2"),
    ]
    assert not found.skipped


def test_a_gateway_carries_its_own_family():
    found = plan(HOST_GATEWAY, NodePeer("b", ("192.0.2.2",), ("10.0.1.0/24", "fd00:0:0:1::/64")))
    assert found.routes == [PeerRoute("10.0.1.0/24", "192.0.2.2")]
    assert found.skipped == ["b: fd00:0:0:1::/64 is of another family than 192.0.2.2"]


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (NodePeer("x", ("127.0.0.1",), ("10.0.1.0/24",)), "no address that 192.0.2.1 reaches"),
        (NodePeer("x", ("169.254.0.7",), ("10.0.1.0/24",)), "no address that 192.0.2.1 reaches"),
        (NodePeer("x", (IP,), ("10.0.1.0/24",)), "no address that 192.0.2.1 reaches"),
        (NodePeer("x", ("2001:db8::2",), ("10.0.1.0/24",)), "no address that 192.0.2.1 reaches"),
        (NodePeer("x", ("192.0.2.2",), ("10.0.0.128/25",)), "10.0.0.128/25 belongs to another node"),
        (NodePeer("x", ("192.0.2.2",), ("0.0.0.0/0",)), "0.0.0.0/0 belongs to another node"),
        (NodePeer("x", ("not an address",), ("10.0.1.0/24",)), "does not appear to be"),
        (NodePeer("x", ("192.0.2.2",), ("10.0.1.7/24",)), "has host bits set"),
    ],
)
def test_a_bad_peer_is_skipped_and_the_rest_is_served(peer, reason):
    good = NodePeer("good", ("192.0.2.3",), ("10.0.9.0/24",))
    found = plan(VXLAN, peer, good)
    assert [route.target for route in found.routes] == ["10.0.9.0/24"]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("x: ")
    assert reason in found.skipped[0]


def test_of_two_with_one_range_the_first_has_it():
    found = plan(VXLAN, *(NodePeer(n, (f"192.0.2.{i}",), ("10.0.1.0/24",)) for i, n in enumerate("bc", 2)))
    assert [route.remote for route in found.routes] == ["192.0.2.2"]
    assert found.skipped == ["c: 10.0.1.0/24 belongs to another node"]


def test_the_tunnel_leaves_room_for_its_headers():
    found = plan_overlay("wl0", "a", IP, OWN, 1500)
    assert (found.interface, found.mtu, found.addresses) == ("wl0-vx", 1450, ["10.0.0.0/32", "fd00::/128"])
    assert plan_overlay("wl0", "a", "2001:db8::1", OWN, 1500).mtu == 1430
    assert len(overlay_interface("b" * 15)) == MAX_INTERFACE_NAME


@pytest.mark.parametrize(
    ("address", "spans"),
    [("192.0.2.1", True), ("2001:db8::1", True), ("127.0.0.1", False), ("::1", False), ("", False)],
)
def test_loopback_spans_nothing(address, spans):
    assert spans_hosts(address) is spans


def test_masquerade_spares_what_is_inside():
    text = masquerade.ruleset("wl0", OWN, ["10.0.0.0/16", "10.96.0.0/12"])
    assert 'ip saddr { 10.0.0.0/24 } ip daddr != { 10.0.0.0/16, 10.96.0.0/12 } oifname != "wl0" masquerade' in text
    assert 'ip6 saddr { fd00::/64 } ip6 daddr != { fd00::/64 } oifname != "wl0" masquerade' in text
    assert text.startswith(masquerade.removal("wl0"))
