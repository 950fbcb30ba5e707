"""Which sysctls a pod may set on this node: those that change nothing outside it, and those the node allows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Obj = Mapping[str, Any]
SAFE = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
})  # fmt: skip
IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def normal(name: str) -> str:
    """Return a sysctl's name with dots, whichever separator it was written with."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate(str.maketrans("./", "/."))


def sysctls_of(pod: Obj) -> dict[str, str]:
    """Return what the pod sets."""
    context = pod["spec"].get("securityContext") or {}
    return {normal(str(entry["name"])): str(entry["value"]) for entry in context.get("sysctls") or ()}


def forbidden(pod: Obj, allowed_unsafe: Sequence[str] = ()) -> str:
    """Return why the pod's sysctls are refused, empty when they are not. A pattern may end with `*`."""
    spec = pod["spec"]
    for name in sysctls_of(pod):
        ipc, net = name.startswith(IPC), name.startswith("net.")
        if net and spec.get("hostNetwork"):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if ipc and spec.get("hostIPC"):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
        if name not in SAFE and not any(_matches(name, pattern) for pattern in allowed_unsafe if ipc or net):
            return f'forbidden sysctl: "{name}" not allowlisted'
    return ""


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
