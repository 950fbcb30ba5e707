"""Step: the files that the node gives every container: /etc/hosts, /etc/hostname and /etc/resolv.conf.

One of each per pod, in the pod's directory. They are written before each container's start, in place: containers that
run already see the change.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from windlass.plugin.interfaces.runtime import Mount
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.dns import Warned, parse_resolv_conf, pod_dns
from windlass_hostagent.pods.hostname import hosts_file, kernel_name

Obj = dict[str, Any]
HOSTS = "etc-hosts"
HOSTNAME = "hostname"
RESOLV_CONF = "resolv.conf"
PLACES = {HOSTS: "/etc/hosts", HOSTNAME: "/etc/hostname", RESOLV_CONF: "/etc/resolv.conf"}
SIMULATED = "hollow"
"""A runtime that runs nothing needs no files: a simulation of thousands of pods would only wear the disk."""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def resolver(context: AgentContext, pod: Obj) -> tuple[str, list[Warned]]:
    """Return the pod's resolv.conf and what users should know about it."""
    options = context.options
    config, warned = pod_dns(pod, options.dns, parse_resolv_conf(_read(options.resolv_conf)))
    return config.text(), warned


def node_files(context: AgentContext, pod: Obj, container: Obj, ips: Sequence[str]) -> list[Mount]:
    """Write the files and return their mounts, but for places that the container mounts something over.

    A few small calls to the local disk, not worth a thread: pods start in bursts.
    """
    if context.runtime_name == SIMULATED:
        return []
    folder = context.data_dir / "pods" / pod["metadata"]["uid"]
    folder.mkdir(parents=True, exist_ok=True)
    own = {str(PurePosixPath(mount["mountPath"])) for mount in container.get("volumeMounts") or ()}
    host_network = bool(pod["spec"].get("hostNetwork"))
    node_hosts = _read(context.options.hosts) if host_network else ""
    domain = context.options.dns.domain
    texts = {
        HOSTS: hosts_file(pod, ips, domain, node_hosts),
        HOSTNAME: "" if host_network else f"{kernel_name(pod, domain)}\n",
        RESOLV_CONF: resolver(context, pod)[0],
    }
    mounts = []
    for name, place in PLACES.items():
        if place in own or (name == HOSTNAME and host_network):
            continue
        path = folder / name
        if not path.exists() or path.read_text() != texts[name]:
            path.write_text(texts[name])
            path.chmod(0o644)
        mounts.append(Mount(str(path), place))
    return mounts


def remove_node_files(context: AgentContext, uid: str) -> None:
    """Remove a pod's files. Safe to repeat."""
    for name in PLACES:
        (context.data_dir / "pods" / uid / name).unlink(missing_ok=True)
