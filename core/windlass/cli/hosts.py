"""Hosts on one machine: each a network namespace on an underlay bridge of the cluster's own, with nothing else shared.

Names follow from the data directory, so that clusters beside each other do not meet. A namespace is entered with
`nsenter --net=`: `ip netns exec` would also remount /sys, and container runtimes then find no cgroups.
"""

import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.cli.datadir import DataDir
from windlass.errors import ConfigError, WindlassError

NETNS_DIR = Path("/run/netns")
NEEDED = ("ip", "nsenter")
POOL = ipaddress.IPv4Network("10.88.0.0/16")
MAX_HOSTS = 250
COMMAND_SECONDS = 30


class HostError(WindlassError):
    """A host's namespace or link could not be made, changed or removed."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `link` is the bridge's end of its cable, the other end being its eth0."""

    name: str
    ip: str
    namespace: str
    link: str

    @property
    def exists(self) -> bool:
        """Whether its namespace is there."""
        return (NETNS_DIR / self.namespace).exists()

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return the command to run another one in the host's network."""
        return ["nsenter", f"--net={NETNS_DIR / self.namespace}", *command]


@dataclass(frozen=True, slots=True)
class Underlay:
    """The hosts' common link. `tag` tells clusters apart; the first address is this machine's own end."""

    tag: str
    network: ipaddress.IPv4Network

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return f"wlu{self.tag}"

    @property
    def address(self) -> str:
        """Where the hosts reach this machine, and with it the API server."""
        return str(self.network.network_address + 1)

    def hosts(self, count: int) -> list[Host]:
        """Return the hosts node1 to nodeN."""
        return [
            Host(
                f"node{number}",
                str(self.network.network_address + 1 + number),
                f"wl{self.tag}-node{number}",
                f"wl{self.tag}n{number}",
            )
            for number in range(1, count + 1)
        ]


def cluster_tag(data_dir: DataDir) -> str:
    """Derive a short name from where the cluster keeps its files."""
    return hashlib.sha256(str(data_dir.root).encode()).hexdigest()[:6]


def runtime_dir(data_dir: DataDir) -> Path:
    """Where the hosts' daemons have their sockets: a short path, for a socket's name has 107 bytes at most."""
    return Path("/run") / f"windlass-{cluster_tag(data_dir)}"


def choose_network(tag: str, used: Iterable[str]) -> ipaddress.IPv4Network:
    """Choose a range for the underlay that nothing here uses. Pure. Raises ConfigError when all are used."""
    ranges = [ipaddress.ip_network(text, strict=False) for text in used]
    taken = [known for known in ranges if isinstance(known, ipaddress.IPv4Network) and known.prefixlen]
    candidates = list(POOL.subnets(new_prefix=24))
    start = int(tag, 16) % len(candidates)
    for network in [*candidates[start:], *candidates[:start]]:
        if not any(known.overlaps(network) for known in taken):
            return network
    raise ConfigError(f"every range of {POOL} is in use on this machine")


def used_ranges() -> list[str]:
    """Return the targets of this machine's routes."""
    routes = json.loads(_ip("-json", "route", "show", "table", "all") or "[]")
    return [route["dst"] for route in routes if route.get("dst", "default") != "default"]


def check_possible(count: int) -> None:
    """Refuse what cannot work before anything is made. Raises ConfigError."""
    if os.geteuid() != 0:
        raise ConfigError("--nodes makes network namespaces, which needs root")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise ConfigError(f"--nodes needs the command {missing[0]}: install iproute2 and util-linux")
    if count > MAX_HOSTS:
        raise ConfigError(f"--nodes {count}: {MAX_HOSTS} at most")


def make_hosts(underlay: Underlay, hosts: Sequence[Host]) -> None:
    """Make the bridge and each host that is not there yet; those that are stay as they are. Raises HostError."""
    if not _link_exists(underlay.bridge):
        _ip("link", "add", underlay.bridge, "type", "bridge")
        prefix = underlay.network.prefixlen
        _ip("address", "add", f"{underlay.address}/{prefix}", "dev", underlay.bridge)
        _ip("link", "set", underlay.bridge, "up")
    for host in hosts:
        if not host.exists:
            _make_host(underlay, host)


def _make_host(underlay: Underlay, host: Host) -> None:
    _remove_link(host.link)
    _ip("netns", "add", host.namespace)
    try:
        _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        _ip("link", "set", host.link, "master", underlay.bridge, "up")
        inside = ("-n", host.namespace)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "address", "add", f"{host.ip}/{underlay.network.prefixlen}", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
    except HostError:
        _ip("netns", "delete", host.namespace)
        raise


def remove_hosts(underlay: Underlay, hosts: Sequence[Host]) -> list[str]:
    """Remove namespaces, links and the bridge; return what could not be removed."""
    problems: list[str] = []
    for host in hosts:
        try:
            _remove_link(host.link)
            if host.exists:
                _ip("netns", "delete", host.namespace)
        except HostError as error:
            problems.append(str(error))
    try:
        _remove_link(underlay.bridge)
    except HostError as error:
        problems.append(str(error))
    return problems


def connect(host: Host, *, connected: bool) -> None:
    """Plug the host's cable in, or pull it out. Raises HostError."""
    _ip("link", "set", host.link, "up" if connected else "down")


def is_connected(host: Host) -> bool:
    """Say whether the host's cable is plugged in."""
    links = json.loads(_ip("-json", "link", "show", host.link) or "[]") if _link_exists(host.link) else []
    return any("UP" in link.get("flags", ()) for link in links)


def route_pods(underlay: Underlay, host: Host, pod_cidr: str) -> bool:
    """Give this machine, and so the API server's proxy, a way to a host's pods; False when the range is taken here."""
    try:
        _ip("route", "add", pod_cidr, "via", host.ip, "dev", underlay.bridge)
    except HostError as error:
        shown = _ip("route", "show", pod_cidr)
        if not shown.strip():
            raise HostError(str(error)) from error
        return f"via {host.ip} " in shown
    return True


def _link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _remove_link(name: str) -> None:
    if _link_exists(name):
        _ip("link", "delete", name)


def _ip(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        ["ip", *arguments],  # noqa: S607 - wherever this system has it
        capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        raise HostError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
