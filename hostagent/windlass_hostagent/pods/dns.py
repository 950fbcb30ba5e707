"""A pod's /etc/resolv.conf from its DNS policy and configuration, within the resolver's limits. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """The lines of a resolv.conf."""

    nameservers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()

    def text(self) -> str:
        """Write the file."""
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """What the node knows of the cluster's DNS. Without `addresses` pods get the node's own resolver."""

    addresses: Sequence[str] = ()
    domain: str = "cluster.local"


@dataclass(frozen=True, slots=True)
class Warned:
    """What a user should know about a pod's DNS: an event's reason and message."""

    reason: str
    message: str


def parse_resolv_conf(text: str) -> DnsConfig:
    """Read the node's file as the resolver does: the last search line counts."""
    nameservers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if not words:
            continue
        if words[0] == "nameserver" and len(words) > 1:
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = [word.removesuffix(".") or "." for word in words[1:]]
        elif words[0] == "options":
            options = words[1:]
    return DnsConfig(nameservers, searches, options)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _base(pod: Obj, cluster: ClusterDns, node: DnsConfig) -> tuple[DnsConfig, list[Warned]]:
    """Return what the policy alone gives."""
    spec, meta = pod["spec"], pod["metadata"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        return DnsConfig(), []
    if policy == "Default" or (policy == "ClusterFirst" and spec.get("hostNetwork")):
        return node, []
    if not cluster.addresses:
        name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        message = (
            f'pod: "{name}". kubelet does not have ClusterDNS IP configured and cannot create Pod using "{policy}" '
            'policy. Falling back to "Default" policy.'
        )
        return node, [Warned("MissingClusterDNS", message)]
    domain = cluster.domain
    searches = [f"{meta['namespace']}.svc.{domain}", f"svc.{domain}", domain, *node.searches]
    return DnsConfig(cluster.addresses, searches, CLUSTER_OPTIONS), []


def merge_options(first: Sequence[str], more: Sequence[Obj]) -> list[str]:
    """Join resolver options by name; the later value counts."""
    merged = {option.partition(":")[0]: option for option in first}
    for option in more:
        name, value = str(option["name"]), option.get("value")
        merged[name] = name if value in (None, "") else f"{name}:{value}"
    return list(merged.values())


def pod_dns(pod: Obj, cluster: ClusterDns, node: DnsConfig) -> tuple[DnsConfig, list[Warned]]:
    """Return the pod's resolver, and what had to be left out of it."""
    base, warned = _base(pod, cluster, node)
    own = pod["spec"].get("dnsConfig") or {}
    nameservers = _unique([*base.nameservers, *(own.get("nameservers") or ())])
    searches = _unique([*base.searches, *(own.get("searches") or ())])
    options = merge_options(base.options, own.get("options") or ())
    kept_servers, kept_searches = nameservers[:MAX_NAMESERVERS], fitting_searches(searches)
    if kept_servers != nameservers:
        message = (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(kept_servers)}"
        )
        warned.append(Warned("DNSConfigForming", message))
    if kept_searches != searches:
        message = (
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(kept_searches)}"
        )
        warned.append(Warned("DNSConfigForming", message))
    return DnsConfig(kept_servers, kept_searches, options), warned


def fitting_searches(searches: Sequence[str]) -> list[str]:
    """Keep as many search domains as the resolver takes."""
    kept: list[str] = []
    length = 0
    for search in searches[:MAX_SEARCHES]:
        length += len(search) + (1 if kept else 0)
        if length > MAX_SEARCH_CHARACTERS:
            break
        kept.append(search)
    return kept
