"""Zones, records and answers, before they have a wire format. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

Labels = tuple[str, ...]
"""A name in lower case, label by label: a dot inside a label cannot pass for a border."""
Value = str | int
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TTL_SECONDS = 5
SPECIFICATION = "1.1.0"
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Zone:
    """What is ours: the domain, the ranges of pods and Services, and the addresses that we answer at."""

    domain: str = "cluster.local"
    pod_ranges: Sequence[Network] = ()
    service_ranges: Sequence[Network] = ()
    servers: Sequence[str] = ()
    ttl: int = TTL_SECONDS

    @property
    def labels(self) -> Labels:
        """The domain, label by label."""
        return labels_of(self.domain)

    def owns(self, address: Address) -> bool:
        """Say whether an address is a pod's or a Service's."""
        return is_within(address, self.pod_ranges) or is_within(address, self.service_ranges)


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `values` are the type's fields in order: an address, a name, or priority, weight, port and target."""

    name: Labels
    type: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a name. `chase` is a CNAME's target that is still to be looked up."""

    code: int = NOERROR
    records: Sequence[Record] = ()
    additional: Sequence[Record] = field(default=())
    chase: Labels = ()


def labels_of(name: str) -> Labels:
    """Split a name."""
    return tuple(label for label in name.lower().split(".") if label)


def is_within(address: Address, ranges: Sequence[Network]) -> bool:
    """Say whether an address is in one of the ranges."""
    return any(address.version == network.version and address in network for network in ranges)


def address_record(name: Labels, address: str) -> Record:
    """Make an A or AAAA record."""
    return Record(name, "AAAA" if ":" in address else "A", (address,))


def reverse_address(labels: Labels) -> Address | None:
    """Return the address that a complete name under in-addr.arpa or ip6.arpa stands for; None for all others."""
    try:
        if labels[-2:] == ("in-addr", "arpa") and len(labels) == 6:
            return ipaddress.IPv4Address(".".join(reversed(labels[:4])))
        if labels[-2:] == ("ip6", "arpa") and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            digits = "".join(reversed(labels[:32]))
            return ipaddress.IPv6Address(":".join(digits[at : at + 4] for at in range(0, 32, 4)))
    except ValueError:
        return None
    return None


def dashed(address: str) -> str:
    """Write an address as a label: 10-0-0-1, or fd00--1."""
    text = address.replace(".", "-").replace(":", "-")
    return ("0" if text.startswith("-") else "") + text + ("0" if text.endswith("-") else "")


def undashed(label: str) -> Address | None:
    """Read an address that was written as a label; None when it is none."""
    for separator in (".", ":"):
        try:
            return ipaddress.ip_address(label.replace("-", separator))
        except ValueError:
            continue
    return None
