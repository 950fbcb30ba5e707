"""The ranges that Services' addresses and node ports come from. Pure, but for the dice.

As in Kubernetes, the front of a range is left to those who ask for an address by name (the API server's own Service
has the first, the cluster's DNS the tenth); whatever asks for any address gets one from behind it while there are some.
"""

import ipaddress
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
NODE_PORTS = range(30_000, 32_768)
ATTEMPTS = 16


@dataclass(frozen=True, slots=True)
class ServiceRanges:
    """One range per address family, the cluster's first family first."""

    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, cidrs: Sequence[str]) -> "ServiceRanges":
        """Read the ranges. Raises ValueError when one is no network, or two are of one family."""
        networks = tuple(ipaddress.ip_network(text) for text in cidrs)
        if len({network.version for network in networks}) != len(networks):
            raise ValueError(f"at most one service range of each address family: {', '.join(cidrs)}")
        return cls(networks)

    @property
    def families(self) -> list[str]:
        """Return the cluster's address families."""
        return [f"IPv{network.version}" for network in self.networks]

    def of_family(self, family: str) -> Network | None:
        """Return a family's range; None when the cluster has none."""
        return next((network for network in self.networks if f"IPv{network.version}" == family), None)


def family_of(address: str) -> str:
    """Return IPv4 or IPv6. Raises ValueError."""
    return f"IPv{ipaddress.ip_address(address).version}"


def usable(network: Network) -> range:
    """Return the numbers of the addresses that may be given out: neither the network's own nor the broadcast one."""
    first = int(network.network_address) + 1
    size = min(network.num_addresses, 1 << 20)
    return range(first, first + size - (2 if network.version == 4 else 1))


def is_usable(network: Network, address: str) -> bool:
    """Whether an address asked for by name may be given out."""
    return int(ipaddress.ip_address(address)) in usable(network)


def offered_addresses(network: Network, taken: Collection[str]) -> Iterator[str]:
    """Yield free addresses to try, at random: behind the front first, then the front; each at most once."""
    numbers = usable(network)
    front = min(max(16, len(numbers) // 16), 256) if len(numbers) > 16 else 0
    make = type(network.network_address)
    for part in (numbers[front:], numbers[:front]):
        yield from (text for number in _shuffled(part) if (text := str(make(number))) not in taken)


def offered_node_ports(taken: Collection[str]) -> Iterator[str]:
    """Yield free node ports to try, as `offered_addresses` does."""
    for part in (NODE_PORTS[86:], NODE_PORTS[:86]):
        yield from (str(number) for number in _shuffled(part) if str(number) not in taken)


def _shuffled(numbers: range) -> Iterator[int]:
    """Yield every number once, beginning with some dice so that large ranges need not be shuffled."""
    dice = random.SystemRandom()
    tried: set[int] = set()
    for _ in range(min(ATTEMPTS, len(numbers))):
        number = dice.choice(numbers)
        if number not in tried:
            tried.add(number)
            yield number
    start = dice.randrange(len(numbers)) if numbers else 0
    for offset in range(len(numbers)):
        number = numbers[(start + offset) % len(numbers)]
        if number not in tried:
            yield number
