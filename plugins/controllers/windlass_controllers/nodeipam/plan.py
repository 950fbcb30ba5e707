"""Which part of a cluster range is whose. Pure, no I/O."""

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PREFIXES = {4: 24, 6: 64}


class ClusterRange:
    """One cluster range cut into equal parts; each part has at most one node that got it from here."""

    def __init__(self, network: Network, prefix: int) -> None:
        if prefix < network.prefixlen:
            raise ValueError(f"cluster range {network} is smaller than one node's part, a /{prefix}")
        self.network = network
        self._prefix = prefix
        self._size = 1 << (network.max_prefixlen - prefix)
        self._count = 1 << (prefix - network.prefixlen)
        self._owners: dict[int, set[str]] = {}
        self._held: dict[str, set[int]] = {}
        self._next = 0

    def hold(self, node: str, cidrs: Iterable[str]) -> None:
        """Note what a node has; ranges outside of this one, and what is no range, do not count."""
        for cidr in cidrs:
            for part in self._parts(cidr):
                self._owners.setdefault(part, set()).add(node)
                self._held.setdefault(node, set()).add(part)

    def release(self, node: str) -> None:
        """Forget a node."""
        for part in self._held.pop(node, ()):
            owners = self._owners[part]
            owners.discard(node)
            if not owners:
                del self._owners[part]

    def allocate(self, node: str) -> str | None:
        """Give a node the next free part, going round so that a part just freed rests longest; None when all are held."""
        if len(self._owners) >= self._count:
            return None
        while self._next in self._owners:
            self._next = (self._next + 1) % self._count
        part, self._next = self._next, (self._next + 1) % self._count
        self._owners[part] = {node}
        self._held.setdefault(node, set()).add(part)
        make = type(self.network.network_address)
        return f"{make(int(self.network.network_address) + part * self._size)}/{self._prefix}"

    def _parts(self, cidr: str) -> Sequence[int]:
        try:
            found = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return ()
        if found.version != self.network.version:
            return ()
        base, end = int(self.network.network_address), int(self.network.broadcast_address)
        first = max(int(found.network_address), base)
        last = min(int(found.broadcast_address), end)
        return range((first - base) // self._size, (last - base) // self._size + 1) if first <= last else ()


def cluster_ranges(cidrs: Sequence[str]) -> list[ClusterRange]:
    """Make the ranges, one for each family. Raises ValueError for what is no range, or a family named twice."""
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    if len({network.version for network in networks}) != len(networks):
        raise ValueError("name one cluster range for each family")
    return [ClusterRange(network, PREFIXES[network.version]) for network in networks]


def allocate_all(ranges: Sequence[ClusterRange], node: str) -> list[str]:
    """Give a node one part of each range; all or nothing."""
    found = [cidr for cidr in (part.allocate(node) for part in ranges) if cidr is not None]
    if len(found) == len(ranges):
        return found
    for part in ranges:
        part.release(node)
    return []
