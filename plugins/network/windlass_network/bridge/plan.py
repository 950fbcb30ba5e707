"""Names, addresses and routes of the bridge network. Pure."""

import hashlib
import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass

MAX_INTERFACE_NAME = 15
VETH_PREFIX = "wlv"
UNREACHABLE_METRIC = 4_278_198_272
"""So large that every real route to the same range wins."""
SANDBOX_INTERFACE = "eth0"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The node's part: one bridge with a gateway per pod range, and the ranges that must never leave the host."""

    bridge: str
    gateways: Sequence[str]
    ranges: Sequence[Network]
    unreachable: Sequence[str]


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """A sandbox's part. `addresses` carry their prefix length; `alias` tells whose link it is."""

    host_interface: str
    mac: str
    addresses: Sequence[str]
    gateways: Sequence[str]
    alias: str


def host_interface(sandbox_id: str) -> str:
    """Name the host's end of a sandbox's veth: at most 15 characters, the same every time."""
    digest = hashlib.sha256(sandbox_id.encode()).hexdigest()
    return (VETH_PREFIX + digest)[:MAX_INTERFACE_NAME]


def mac_address(text: str) -> str:
    """Derive a locally administered unicast address."""
    digest = hashlib.sha256(text.encode()).digest()[:5]
    return ":".join(f"{byte:02x}" for byte in (0x0A, *digest))


def gateway(network: Network) -> str:
    """Return the bridge's own address, the first of the range, with its prefix length."""
    return f"{network.network_address + 1}/{network.prefixlen}"


def plan_node(bridge: str, pod_cidrs: Sequence[str], cluster_cidrs: Sequence[str]) -> NodePlan:
    """Plan the node. Raises ValueError for ranges that are no ranges, or too small for a single pod."""
    ranges = [ipaddress.ip_network(text) for text in pod_cidrs]
    for network in ranges:
        if network.num_addresses < 4:
            raise ValueError(f"pod range {network} is too small: at least a /30 is needed")
    unreachable = [str(ipaddress.ip_network(text)) for text in cluster_cidrs]
    return NodePlan(bridge, [gateway(n) for n in ranges], ranges, unreachable)


def plan_sandbox(node: NodePlan, sandbox_id: str, ips: Sequence[str]) -> SandboxPlan:
    """Plan one sandbox with the addresses that IPAM gave it."""
    addresses = [f"{ip}/{network.prefixlen}" for ip, network in zip(ips, node.ranges, strict=True)]
    return SandboxPlan(
        host_interface=host_interface(sandbox_id),
        mac=mac_address(sandbox_id),
        addresses=addresses,
        gateways=[g.partition("/")[0] for g in node.gateways],
        alias=link_alias(node.bridge, sandbox_id),
    )


def link_alias(bridge: str, sandbox_id: str) -> str:
    """Mark a link as ours, so that collection never touches another node's or a foreign one."""
    return f"windlass:{bridge}:{sandbox_id}"


def choose_address(network: Network, taken: Collection[str], last: str) -> str | None:
    """Return the next free address after `last`, round the range; None when it is full.

    The network address, the gateway and the broadcast address are never given out; going round keeps an address that
    has just been freed out of use for as long as possible.
    """
    first = int(network.network_address) + 2
    end = int(network.network_address) + network.num_addresses - (1 if network.version == 4 else 0)
    start = first
    if last:
        after = int(ipaddress.ip_address(last)) + 1
        start = after if first <= after < end else first
    make = type(network.network_address)
    for number in range(start, end):
        if str(make(number)) not in taken:
            return str(make(number))
    for number in range(first, start):
        if str(make(number)) not in taken:
            return str(make(number))
    return None
