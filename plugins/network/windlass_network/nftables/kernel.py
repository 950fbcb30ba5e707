"""What forwarding needs of the kernel besides rules: a route to the Services, bridged packets in sight, UDP forgotten.

All functions block and are safe to repeat.
"""

import errno
import ipaddress
import socket
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

ROUTE_PROTOCOL = 87
"""Marks our routes, so that teardown takes out ours alone."""
METRIC = 4_096
BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
Flow = tuple[str, int, str]
"""A frontend's address ('' for a node port), its port, and the endpoint that left ('' for any)."""


def route_services(netlink: Any, cidrs: Sequence[str], sources: Sequence[str]) -> None:
    """Give the Services' ranges a route, so that the node's own connections come as far as the output hook.

    Without one the kernel refuses them at `connect` (the ranges are `unreachable` otherwise, and there may be no default
    route). The route leads to loopback: a packet that no Service claims is refused by rule and never leaves.
    """
    loopback = netlink.link_lookup(ifname="lo")[0]
    netlink.link("set", index=loopback, state="up")
    for text in cidrs:
        version = ipaddress.ip_network(text).version
        source = next((ip for ip in sources if ipaddress.ip_address(ip).version == version), None)
        route: dict[str, Any] = {"dst": text, "oif": loopback, "priority": METRIC, "proto": ROUTE_PROTOCOL}
        if source is not None:
            route["prefsrc"] = source
        netlink.route("replace", **route)


def unroute_services(netlink: Any) -> None:
    """Take out our routes."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for route in list(netlink.get_routes(family=family)):
            if route["proto"] != ROUTE_PROTOCOL:
                continue
            target = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
            try:
                netlink.route("del", dst=target, priority=METRIC, proto=ROUTE_PROTOCOL, family=family)
            except NetlinkError as error:
                if error.code != errno.ESRCH:
                    raise


def see_bridged() -> bool:
    """Have packets between pods of one bridge pass connection tracking. False where the kernel has no such switch."""
    if not BRIDGED.exists():
        return False
    if BRIDGED.read_text().strip() != "1":
        BRIDGED.write_text("1")
    return True


def claim_node() -> socket.socket | None:
    """Claim this network namespace for one proxy; None when another has it. The claim ends with the process.

    An abstract socket's name is unique in its network namespace, as our table's is.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind("\0windlass-nftables")
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return claim


def open_netlink() -> Any:
    """Open netlink in this namespace."""
    return IPRoute()


def forget_udp(flows: Collection[Flow]) -> int:
    """Make the kernel forget UDP flows, whose next packet is then looked up anew; return how many there were."""
    forgotten = 0
    with NFCTSocket() as table:
        for entry in list(table.dump()):
            origin, reply = _tuple(entry, "CTA_TUPLE_ORIG"), _tuple(entry, "CTA_TUPLE_REPLY")
            if origin is None or reply is None or origin[2] != socket.IPPROTO_UDP:
                continue
            if any(_concerns(flow, origin, reply) for flow in flows):
                forgotten += _delete(table, origin)
    return forgotten


def _concerns(flow: Flow, origin: tuple[Any, ...], reply: tuple[Any, ...]) -> bool:
    address, port, endpoint = flow
    return origin[4] == port and address in ("", origin[1]) and endpoint in ("", reply[0])


def _tuple(entry: Any, name: str) -> tuple[str, str, int, int, int] | None:
    """Return (source, destination, protocol, source port, destination port)."""
    whole = entry.get_attr(name)
    ip = whole.get_attr("CTA_TUPLE_IP") if whole is not None else None
    proto = whole.get_attr("CTA_TUPLE_PROTO") if whole is not None else None
    if ip is None or proto is None:
        return None
    source = ip.get_attr("CTA_IP_V4_SRC") or ip.get_attr("CTA_IP_V6_SRC")
    target = ip.get_attr("CTA_IP_V4_DST") or ip.get_attr("CTA_IP_V6_DST")
    return (source, target, int(proto.get_attr("CTA_PROTO_NUM")),
            int(proto.get_attr("CTA_PROTO_SRC_PORT") or 0), int(proto.get_attr("CTA_PROTO_DST_PORT") or 0))  # fmt: skip


def _delete(table: Any, origin: tuple[Any, ...]) -> int:
    source, target, proto, source_port, target_port = origin
    key = NFCTAttrTuple(saddr=source, daddr=target, proto=proto, sport=source_port, dport=target_port)
    try:
        table.entry("del", tuple_orig=key)
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
        return 0
    return 1
