"""How to reach the pods of other nodes. Pure.

`vxlan`: each node's tunnel interface has the first address of its pod range and a MAC that follows from the node's
name, so that everything a peer needs to know of another stands in the Node object. `host-gw`: the peer itself is the
gateway, which needs a link that both are on.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from windlass.plugin.interfaces.network import NodePeer
from windlass_network.bridge.plan import MAX_INTERFACE_NAME, Network, mac_address

VXLAN = "vxlan"
HOST_GATEWAY = "host-gw"
NO_OVERLAY = "none"
MODES = (VXLAN, HOST_GATEWAY, NO_OVERLAY)
OVERHEAD = {4: 50, 6: 70}
"""What the outer headers take from the MTU."""
VXLAN_ID, VXLAN_PORT = 1, 8472
_SUFFIX = "-vx"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class OverlayPlan:
    """The tunnel interface of this node. `addresses` carry their prefix length."""

    interface: str
    mac: str
    local: str
    addresses: Sequence[str]
    mtu: int
    vxlan_id: int = VXLAN_ID
    port: int = VXLAN_PORT


@dataclass(frozen=True, slots=True)
class PeerRoute:
    """The way to one range. `mac` '' goes to the gateway directly, else through the tunnel to `remote`."""

    target: str
    gateway: str
    mac: str = ""
    remote: str = ""


@dataclass(frozen=True, slots=True)
class PeersPlan:
    """All ways, and why some peers have none."""

    routes: Sequence[PeerRoute]
    skipped: Sequence[str]


def overlay_interface(bridge: str) -> str:
    """Name the tunnel interface that belongs to a bridge."""
    return bridge[: MAX_INTERFACE_NAME - len(_SUFFIX)] + _SUFFIX


def tunnel_mac(node_name: str) -> str:
    """Return the MAC of a node's tunnel interface."""
    return mac_address(f"vxlan:{node_name}")


def plan_overlay(bridge: str, node_name: str, node_ip: str, ranges: Sequence[Network], mtu: int) -> OverlayPlan:
    """Plan the tunnel interface over a link with that MTU."""
    return OverlayPlan(
        interface=overlay_interface(bridge),
        mac=tunnel_mac(node_name),
        local=node_ip,
        addresses=[f"{network.network_address}/{network.max_prefixlen}" for network in ranges],
        mtu=mtu - OVERHEAD[ipaddress.ip_address(node_ip).version],
    )


def spans_hosts(node_ip: str) -> bool:
    """Say whether other nodes could reach this address at all."""
    try:
        address = ipaddress.ip_address(node_ip)
    except ValueError:
        return False
    return _reachable(address)


def _reachable(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def plan_peers(mode: str, node_ip: str, own: Sequence[Network], peers: Sequence[NodePeer]) -> PeersPlan:
    """Plan the ways to every peer that can have one; of two that claim the same addresses the first has them."""
    routes: list[PeerRoute] = []
    skipped: list[str] = []
    taken = list(own)
    for peer in peers:
        try:
            networks = [ipaddress.ip_network(cidr) for cidr in peer.pod_cidrs]
            remote = _remote(peer, node_ip)
        except ValueError as error:
            skipped.append(f"{peer.name}: {error}")
            continue
        if remote is None:
            skipped.append(f"{peer.name}: no address that {node_ip} reaches")
            continue
        for network in networks:
            if any(network.version == known.version and network.overlaps(known) for known in taken):
                skipped.append(f"{peer.name}: {network} belongs to another node")
            elif mode == VXLAN:
                routes.append(PeerRoute(str(network), str(network.network_address), tunnel_mac(peer.name), str(remote)))
                taken.append(network)
            elif network.version == remote.version:
                routes.append(PeerRoute(str(network), str(remote)))
                taken.append(network)
            else:
                skipped.append(f"{peer.name}: {network} is of another family than {remote}")
    return PeersPlan(routes, skipped)


def _remote(peer: NodePeer, node_ip: str) -> Address | None:
    version = ipaddress.ip_address(node_ip).version
    found = [ipaddress.ip_address(text) for text in peer.addresses]
    return next((a for a in found if a.version == version and _reachable(a) and str(a) != node_ip), None)
