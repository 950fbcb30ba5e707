"""What kubectl shows of a node."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from windlass.apimachinery.scheme import Column, Obj
from windlass.apimachinery.table import UNKNOWN, age
from windlass.apis.core.v1.pod_printer import NONE

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"


def node_state(node: Obj, _now: datetime) -> str:
    """Return whether the node is ready and takes pods: `Ready`, `NotReady`, `Ready,SchedulingDisabled`."""
    conditions = (node.get("status") or {}).get("conditions") or []
    words = ["Ready" if condition.get("status") == "True" else "NotReady"
             for condition in conditions if condition.get("type") == "Ready"]
    if (node.get("spec") or {}).get("unschedulable"):
        return ",".join([*(words or ["Unknown"]), "SchedulingDisabled"])
    return ",".join(words or ["Unknown"])


def node_roles(node: Obj, _now: datetime) -> str:
    """Return the roles that the node's labels give it."""
    labels = (node.get("metadata") or {}).get("labels") or {}
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE_LABEL) or "")
    return ",".join(sorted(role for role in roles if role)) or NONE


def node_address(node: Obj, kind: str) -> str:
    """Return the node's first address of a kind, or ''."""
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((str(address.get("address")) for address in addresses if address.get("type") == kind), "")


def _info(field: str, absent: str = UNKNOWN) -> Callable[[Obj, datetime], Any]:
    def value(node: Obj, _now: datetime) -> str:
        return ((node.get("status") or {}).get("nodeInfo") or {}).get(field) or absent

    return value


NODE_COLUMNS = (
    Column("Status", node_state, description="Whether the node is ready and takes pods."),
    Column("Roles", node_roles, description="Roles of the node."),
    Column("Age", age, description="Time since the node was registered."),
    Column("Version", _info("kubeletVersion", ""), description="Version of the node's agent."),
    Column("Internal-IP", lambda node, _now: node_address(node, "InternalIP") or NONE, priority=1,
           description="Address of the node inside the cluster."),
    Column("External-IP", lambda node, _now: node_address(node, "ExternalIP") or NONE, priority=1,
           description="Address of the node from outside."),
    Column("OS-Image", _info("osImage"), priority=1, description="Release of the operating system."),
    Column("Kernel-Version", _info("kernelVersion"), priority=1, description="Version of the kernel."),
    Column("Container-Runtime", _info("containerRuntimeVersion"), priority=1, description="Runtime and its version."),
)
