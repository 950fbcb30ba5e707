"""Makes the Node object, or joins the one that is there."""

from collections.abc import Mapping
from typing import Any

from windlass.apis.resources import NODES
from windlass.clock import Clock
from windlass.errors import AlreadyExistsError, ApiError, ConfigError, ConflictError, ForbiddenError, UnauthorizedError
from windlass.logs import get_logger

Obj = dict[str, Any]
RETRY_SECONDS = 1.0
log = get_logger(__name__)


def node_object(name: str, pod_cidr: str, status: Obj, labels: Mapping[str, str]) -> Obj:
    """Build the Node to register. Pure."""
    info = status["nodeInfo"]
    known = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": info["operatingSystem"],
        "kubernetes.io/arch": info["architecture"],
    }
    spec: Obj = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]} if pod_cidr else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**labels, **known}},
        "spec": spec,
        "status": status,
    }


def joining_patch(node: Obj, wanted: Obj) -> Obj:
    """Return what an existing Node lacks: our labels, and a podCIDR if it has none. Pure; empty when nothing."""
    patch: Obj = {}
    labels = node["metadata"].get("labels") or {}
    missing = {k: v for k, v in wanted["metadata"]["labels"].items() if labels.get(k) != v}
    if missing:
        patch["metadata"] = {"labels": missing}
    if not (node.get("spec") or {}).get("podCIDR") and wanted["spec"]:
        patch["spec"] = wanted["spec"]
    return patch


async def register_node(client: Any, wanted: Obj, clock: Clock) -> Obj:
    """Create or join the Node; asks again until the API answers. Raises ConfigError when it never will."""
    name = wanted["metadata"]["name"]
    while True:
        try:
            return await _register_once(client, wanted, name)
        except (UnauthorizedError, ForbiddenError) as error:
            raise ConfigError(
                f"node {name} may not register: {error}; its kubeconfig must be that of system:node:{name}"
            ) from error
        except (ApiError, OSError) as error:
            log.warning("node_not_registered", node=name, error=str(error))
            await clock.sleep(RETRY_SECONDS)


async def _register_once(client: Any, wanted: Obj, name: str) -> Obj:
    try:
        made: Obj = await client.create(NODES, wanted)
    except (AlreadyExistsError, ConflictError):
        node: Obj = await client.get(NODES, name)
        patch = joining_patch(node, wanted)
        return dict(await client.patch(NODES, name, patch)) if patch else node
    return made
