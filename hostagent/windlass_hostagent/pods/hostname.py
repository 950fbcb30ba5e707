"""A pod's host name, domain and /etc/hosts, as kubelet writes them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Obj = Mapping[str, Any]
LABEL_LENGTH = 63
KERNEL_LENGTH = 64
HEADER = "# Kubernetes-managed hosts file.\n"
HOST_NETWORK_HEADER = "# Kubernetes-managed hosts file (host network).\n"
LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


class HostnameError(Exception):
    """A pod's fully qualified name does not fit the kernel's field."""


def short_name(pod: Obj) -> str:
    """Return the host name: the pod's own wish or its name, cut to a label."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:LABEL_LENGTH].rstrip("-.")


def domain(pod: Obj, cluster_domain: str) -> str:
    """Return the domain that `subdomain` gives; empty without one."""
    subdomain = pod["spec"].get("subdomain")
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}" if subdomain else ""


def kernel_name(pod: Obj, cluster_domain: str) -> str:
    """Return what `hostname` prints inside. Raises HostnameError for a name that is too long."""
    name, where = short_name(pod), domain(pod, cluster_domain)
    if not pod["spec"].get("setHostnameAsFQDN") or not where:
        return name
    full = f"{name}.{where}"
    if len(full) > KERNEL_LENGTH:
        raise HostnameError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({KERNEL_LENGTH} characters is the max, {len(full)} characters requested)"
        )
    return full


def hosts_file(pod: Obj, ips: Sequence[str], cluster_domain: str, node_hosts: str = "") -> str:
    """Write /etc/hosts; a pod in the node's network gets the node's, `node_hosts`."""
    if pod["spec"].get("hostNetwork"):
        text = HOST_NETWORK_HEADER + node_hosts
        if not text.endswith("\n"):
            text += "\n"
    else:
        name, where = short_name(pod), domain(pod, cluster_domain)
        names = f"{name}.{where}\t{name}" if where else name
        text = HEADER + LOCAL + "".join(f"{ip}\t{names}\n" for ip in ips)
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join([str(a["ip"]), *(a.get("hostnames") or ())]) + "\n" for a in aliases)
    return text
