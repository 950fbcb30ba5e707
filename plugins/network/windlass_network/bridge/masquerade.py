"""Pods' traffic to the world outside leaves with the node's address: one nftables table of the driver's own."""

import ipaddress
import subprocess
from collections.abc import Sequence

from windlass.errors import NetworkDriverError
from windlass_network.bridge.plan import Network

TIMEOUT_SECONDS = 30


def table_name(bridge: str) -> str:
    """Name the table that belongs to a bridge."""
    return f"windlass-masquerade-{bridge}"


def removal(bridge: str) -> str:
    """Return the commands that remove the table, whether it is there or not. Pure."""
    name = table_name(bridge)
    return f"table inet {name}\ndelete table inet {name}\n"


def ruleset(bridge: str, own: Sequence[Network], inside: Sequence[str]) -> str:
    """Return the commands that make the table anew, in one transaction. `inside` keeps the pods' addresses. Pure."""
    rules = []
    for word, version in (("ip", 4), ("ip6", 6)):
        sources = [network for network in own if network.version == version]
        if not sources:
            continue
        known = [network for network in map(ipaddress.ip_network, inside) if network.version == version]
        within = ", ".join(str(network) for network in ipaddress.collapse_addresses([*known, *sources]))  # type: ignore[type-var]  # one family at a time
        pods = ", ".join(str(network) for network in sources)
        rules.append(f'{word} saddr {{ {pods} }} {word} daddr != {{ {within} }} oifname != "{bridge}" masquerade')
    body = "\n    ".join(["type nat hook postrouting priority srcnat; policy accept;", *rules])
    return f"{removal(bridge)}table inet {table_name(bridge)} {{\n  chain postrouting {{\n    {body}\n  }}\n}}\n"


def apply(nft: Sequence[str], commands: str) -> None:
    """Have nft carry commands out, all or nothing. Raises FileNotFoundError without nft, else NetworkDriverError."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*nft, "-f", "-"], input=commands, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    if done.returncode != 0:
        raise NetworkDriverError(f"nft refuses the masquerade table: {done.stderr.strip()[:500]}")
