"""The kernel's side of the ways to other nodes: the tunnel interface, its forwarding and neighbour entries, routes.

Every function blocks and is safe to repeat. Routes of ours carry a protocol number of their own; others are not touched.
"""

import errno
import socket
from collections.abc import Sequence
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from windlass.errors import NetworkDriverError
from windlass_network.bridge.links import index_of, remove_link
from windlass_network.bridge.peers_plan import OverlayPlan, PeerRoute

ROUTE_PROTOCOL = 88
PERMANENT = 0x80
SELF = 0x02
"""The entry is the tunnel's own, not a bridge's: without it the kernel replaces nothing."""
_GONE = (errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ESRCH)
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def underlay_mtu(netlink: Any, address: str) -> int | None:
    """Return the MTU of the link that has an address; None when none has."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for found in netlink.get_addr(family=family):
        if address in (found.get_attr("IFA_ADDRESS"), found.get_attr("IFA_LOCAL")):
            return int(netlink.get_links(found["index"])[0].get_attr("IFLA_MTU"))
    return None


def ensure_overlay(netlink: Any, plan: OverlayPlan) -> int:
    """Make the tunnel interface as planned, anew if it is another one; return its index."""
    index = index_of(netlink, plan.interface)
    if index is not None and not _as_planned(netlink, index, plan):
        remove_link(netlink, plan.interface)
        index = None
    if index is None:
        netlink.link(
            "add",
            ifname=plan.interface,
            kind="vxlan",
            address=plan.mac,
            vxlan_id=plan.vxlan_id,
            vxlan_port=plan.port,
            vxlan_learning=0,
            **{"vxlan_local6" if ":" in plan.local else "vxlan_local": plan.local},
        )
        index = index_of(netlink, plan.interface)
        if index is None:
            raise NetworkDriverError(f"interface {plan.interface} vanished while it was made")
    netlink.link("set", index=index, mtu=plan.mtu)
    for address in plan.addresses:
        ip, _, prefix = address.partition("/")
        try:
            netlink.addr("add", index=index, address=ip, prefixlen=int(prefix))
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
    netlink.link("set", index=index, state="up")
    return index


def _as_planned(netlink: Any, index: int, plan: OverlayPlan) -> bool:
    link = netlink.get_links(index)[0]
    info = link.get_attr("IFLA_LINKINFO")
    data = info.get_attr("IFLA_INFO_DATA") if info is not None else None
    if data is None or info.get_attr("IFLA_INFO_KIND") != "vxlan":
        return False
    local = data.get_attr("IFLA_VXLAN_LOCAL6") if ":" in plan.local else data.get_attr("IFLA_VXLAN_LOCAL")
    found = (link.get_attr("IFLA_ADDRESS"), data.get_attr("IFLA_VXLAN_ID"), data.get_attr("IFLA_VXLAN_PORT"), local)
    return bool(found == (plan.mac, plan.vxlan_id, plan.port, plan.local))


def sync_peers(netlink: Any, routes: Sequence[PeerRoute], overlay: int | None) -> None:
    """Make exactly these ways: entries before the routes that need them, and gone after them."""
    if overlay is not None:
        _add_entries(netlink, overlay, routes)
    for route in routes:
        where = {"oif": overlay, "flags": ["onlink"]} if route.mac and overlay is not None else {}
        netlink.route("replace", dst=route.target, gateway=route.gateway, proto=ROUTE_PROTOCOL, **where)
    wanted = {route.target for route in routes}
    for family in _FAMILIES:
        for found in netlink.get_routes(family=family, proto=ROUTE_PROTOCOL):
            target = f"{found.get_attr('RTA_DST')}/{found['dst_len']}"
            if target not in wanted:
                _forgive(netlink.route, "del", dst=target, proto=ROUTE_PROTOCOL, family=family)
    if overlay is not None:
        _remove_entries(netlink, overlay, routes)


def _add_entries(netlink: Any, overlay: int, routes: Sequence[PeerRoute]) -> None:
    for route in routes:
        netlink.fdb("replace", ifindex=overlay, lladdr=route.mac, dst=route.remote, state=PERMANENT, flags=SELF)
        netlink.neigh("replace", ifindex=overlay, dst=route.gateway, lladdr=route.mac, state=PERMANENT)


def _remove_entries(netlink: Any, overlay: int, routes: Sequence[PeerRoute]) -> None:
    neighbours, macs = {r.gateway for r in routes}, {(r.mac, r.remote) for r in routes}
    for family in _FAMILIES:
        for found in netlink.get_neighbours(family=family, ifindex=overlay):
            address = found.get_attr("NDA_DST")
            if found["state"] & PERMANENT and address not in neighbours:
                _forgive(netlink.neigh, "del", ifindex=overlay, dst=address, family=family)
    for found in netlink.get_neighbours(family=socket.AF_BRIDGE, ifindex=overlay):
        entry = (found.get_attr("NDA_LLADDR"), found.get_attr("NDA_DST"))
        if entry not in macs:
            _forgive(netlink.fdb, "del", ifindex=overlay, lladdr=entry[0], dst=entry[1], flags=SELF)


def _forgive(call: Any, *arguments: Any, **options: Any) -> None:
    """Call; what has gone already is fine."""
    try:
        call(*arguments, **options)
    except NetlinkError as error:
        if error.code not in _GONE:
            raise
