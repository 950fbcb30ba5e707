"""Endpoints that somebody wrote by hand, as slices. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass_controllers.endpointslice.desired import FAMILIES, PortSet
from windlass_controllers.endpointslice.plan import MANAGED_BY, SERVICE_NAME, SliceOwner, ports_key

Obj = dict[str, Any]
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MAX_ADDRESSES = 1000


def is_mirrored(endpoints: Mapping[str, Any], service: Mapping[str, Any] | None) -> bool:
    """Say whether Endpoints have slices of this controller: those of a Service that selects no pods itself."""
    metadata = endpoints["metadata"]
    if (metadata.get("labels") or {}).get(SKIP) == "true" or LEADER in (metadata.get("annotations") or {}):
        return False
    return service is not None and not (service.get("spec") or {}).get("selector")


def mirror_owner(endpoints: Mapping[str, Any]) -> SliceOwner:
    """Return Endpoints as the owner of their slices."""
    metadata = endpoints["metadata"]
    labels = {**(metadata.get("labels") or {}), SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER}
    return SliceOwner(endpoints, labels)


def _endpoint(address: Mapping[str, Any], *, ready: bool) -> Obj:
    made: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for key in ("hostname", "nodeName", "targetRef"):
        if address.get(key):
            made[key] = address[key]
    return made


def mirrored_endpoints(endpoints: Mapping[str, Any]) -> dict[tuple[str, PortSet], list[Obj]]:
    """Return the endpoints by (family, ports), at most 1,000 per subset."""
    found: dict[tuple[str, PortSet], list[Obj]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = ports_key(subset)
        sides = [(a, True) for a in subset.get("addresses") or ()]
        sides += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, ready in sides[:MAX_ADDRESSES]:
            family = FAMILIES[":" in address["ip"]]
            found.setdefault((family, ports), []).append(_endpoint(address, ready=ready))
    return found
