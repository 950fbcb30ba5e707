"""The kernel's side over netlink: bridge, veth pairs, addresses, routes.

Every function blocks and is safe to repeat.
"""

import ctypes
import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from windlass.errors import NetworkDriverError
from windlass_network.bridge.plan import (
    SANDBOX_INTERFACE,
    UNREACHABLE_METRIC,
    VETH_PREFIX,
    NodePlan,
    SandboxPlan,
    mac_address,
)

CLONE_NEWNET = 0x40000000
FORWARDING = {4: Path("/proc/sys/net/ipv4/ip_forward"), 6: Path("/proc/sys/net/ipv6/conf/all/forwarding")}
_GONE = (errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ESRCH)
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def inside(netns_path: str) -> Iterator[Any]:
    """Open netlink in another network namespace. Only the calling thread enters it, and only while the socket opens."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(target)
            netlink = IPRoute()
        finally:
            _setns(own)
            os.close(target)
    finally:
        os.close(own)
    try:
        yield netlink
    finally:
        netlink.close()


def index_of(netlink: Any, name: str) -> int | None:
    """Return a link's index; None when there is none."""
    found = netlink.link_lookup(ifname=name)
    return int(found[0]) if found else None


def _tolerate(error: Any, *numbers: int) -> None:
    if error.code not in numbers:
        raise error


def _add_address(netlink: Any, index: int, address: str) -> None:
    ip, _, prefix = address.partition("/")
    try:
        netlink.addr("add", index=index, address=ip, prefixlen=int(prefix))
    except NetlinkError as error:
        _tolerate(error, errno.EEXIST)


def ensure_bridge(netlink: Any, plan: NodePlan, mtu: int) -> int:
    """Make the bridge with its addresses, and the unreachable routes before it; return its index."""
    for target in plan.unreachable:
        try:
            netlink.route("add", dst=target, type="unreachable", priority=UNREACHABLE_METRIC)
        except NetlinkError as error:
            _tolerate(error, errno.EEXIST)
    index = index_of(netlink, plan.bridge)
    if index is None:
        try:
            netlink.link("add", ifname=plan.bridge, kind="bridge", address=mac_address(plan.bridge))
        except NetlinkError as error:
            _tolerate(error, errno.EEXIST)
        index = index_of(netlink, plan.bridge)
        if index is None:
            raise NetworkDriverError(f"bridge {plan.bridge} vanished while it was made")
    for address in plan.gateways:
        _add_address(netlink, index, address)
    netlink.link("set", index=index, state="up", mtu=mtu)
    return index


def default_mtu(netlink: Any) -> int:
    """Return the MTU of the link of the default route, 1500 when there is none."""
    for route in netlink.get_default_routes():
        output = route.get_attr("RTA_OIF")
        if output:
            return int(netlink.get_links(output)[0].get_attr("IFLA_MTU"))
    return 1500


def enable_forwarding(*families: int) -> None:
    """Let the node forward between its pods and the world, in each family."""
    for family in families:
        if FORWARDING[family].read_text().strip() != "1":
            FORWARDING[family].write_text("1")


def attach(netlink: Any, plan: SandboxPlan, *, bridge: int, netns_path: str, mtu: int) -> None:
    """Make the veth pair, one end in the sandbox as eth0, the other a port of the bridge."""
    with inside(netns_path) as sandbox:
        if index_of(sandbox, SANDBOX_INTERFACE) is None:
            _make_veth(netlink, plan, netns_path, mtu)
        _configure_inside(sandbox, plan)
    index = index_of(netlink, plan.host_interface)
    if index is None:
        raise NetworkDriverError(f"the host's end {plan.host_interface} is missing; the sandbox has to be made anew")
    netlink.link("set", index=index, master=bridge, state="up", ifalias=plan.alias)
    netlink.brport("set", index=index, mode=1)


def _make_veth(netlink: Any, plan: SandboxPlan, netns_path: str, mtu: int) -> None:
    """Make the pair with its far end born in the sandbox; a half of an interrupted attempt goes first."""
    remove_link(netlink, plan.host_interface)
    descriptor = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        peer = {"ifname": SANDBOX_INTERFACE, "net_ns_fd": descriptor, "address": plan.mac, "mtu": mtu}
        netlink.link("add", ifname=plan.host_interface, kind="veth", peer=peer, mtu=mtu)
    finally:
        os.close(descriptor)


def _configure_inside(sandbox: Any, plan: SandboxPlan) -> None:
    loopback = index_of(sandbox, "lo")
    if loopback is not None:
        sandbox.link("set", index=loopback, state="up")
    index = index_of(sandbox, SANDBOX_INTERFACE)
    if index is None:
        raise NetworkDriverError("eth0 did not appear in the sandbox")
    for address in plan.addresses:
        _add_address(sandbox, index, address)
    sandbox.link("set", index=index, state="up")
    for gateway in plan.gateways:
        target = "::/0" if ":" in gateway else "0.0.0.0/0"
        try:
            sandbox.route("add", dst=target, gateway=gateway, oif=index)
        except NetlinkError as error:
            _tolerate(error, errno.EEXIST)


def verify(netlink: Any, plan: SandboxPlan, *, bridge: int, netns_path: str) -> None:
    """Raise NetworkDriverError naming what is wrong with an attachment."""
    index = index_of(netlink, plan.host_interface)
    if index is None:
        raise NetworkDriverError(f"interface {plan.host_interface} is missing on the host")
    link = netlink.get_links(index)[0]
    if link.get_attr("IFLA_MASTER") != bridge:
        raise NetworkDriverError(f"interface {plan.host_interface} is no port of the bridge")
    with inside(netns_path) as sandbox:
        inner = index_of(sandbox, SANDBOX_INTERFACE)
        if inner is None:
            raise NetworkDriverError("eth0 is missing in the sandbox")
        present = {f"{a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}" for a in sandbox.get_addr(index=inner)}
        missing = [a for a in plan.addresses if a not in present]
        if missing:
            raise NetworkDriverError(f"address {missing[0]} is missing in the sandbox")


def remove_link(netlink: Any, name: str) -> None:
    """Remove a link with its peer; fine when there is none."""
    index = index_of(netlink, name)
    if index is None:
        return
    try:
        netlink.link("del", index=index)
    except NetlinkError as error:
        _tolerate(error, *_GONE)


def collect(netlink: Any, bridge: str, keep: Collection[str]) -> list[str]:
    """Remove every veth of this bridge's but those named; return what was removed. Foreign links stay."""
    removed: list[str] = []
    bridge_index = index_of(netlink, bridge)
    for link in netlink.get_links():
        name = str(link.get_attr("IFLA_IFNAME"))
        alias = str(link.get_attr("IFLA_IFALIAS") or "")
        port = bridge_index is not None and link.get_attr("IFLA_MASTER") == bridge_index
        ours = name.startswith(VETH_PREFIX) and (port or alias.startswith(f"windlass:{bridge}:"))
        if ours and name not in keep:
            remove_link(netlink, name)
            removed.append(name)
    return removed


def remove_node(netlink: Any, plan: NodePlan) -> None:
    """Remove the bridge and the unreachable routes."""
    collect(netlink, plan.bridge, ())
    remove_link(netlink, plan.bridge)
    for target in plan.unreachable:
        try:
            netlink.route("del", dst=target, type="unreachable", priority=UNREACHABLE_METRIC)
        except NetlinkError as error:
            _tolerate(error, *_GONE)
