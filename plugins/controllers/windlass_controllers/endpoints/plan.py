"""A Service's Endpoints object, the older form of its slices. Pure.

Addresses that have the same ports share a subset, as the API server's own repacking has it; more than 1,000 addresses
are cut and said so in an annotation.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from windlass_controllers.endpointslice.desired import PortSet, desired_endpoints, families_of

Obj = dict[str, Any]
MAX_ADDRESSES = 1000
TRUNCATED = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"


def _address(endpoint: Mapping[str, Any]) -> Obj:
    made: Obj = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"]}
    for key in ("nodeName", "hostname"):
        if key in endpoint:
            made[key] = endpoint[key]
    return made


def _order(address: Obj) -> tuple[str, str]:
    return address["ip"], address["targetRef"]["uid"]


def plan_subsets(
    service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], limit: int = MAX_ADDRESSES
) -> tuple[list[Obj], bool]:
    """Return the subsets, and whether addresses had to be left out. Pods that are ending are in none."""
    by_ports: dict[PortSet, dict[str, list[Obj]]] = {}
    left = limit
    cut = False
    primary = families_of(service)[0]
    desired = desired_endpoints(service, pods, {})
    found = [(ports, e) for (family, ports), endpoints in desired.items() if family == primary for e in endpoints]
    for ports, endpoint in sorted(found, key=lambda pair: (not pair[1]["conditions"]["ready"], pair[1]["addresses"])):
        conditions = endpoint["conditions"]
        if conditions["terminating"] and not conditions["ready"]:
            continue
        if left == 0:
            cut = True
            break
        left -= 1
        side = "addresses" if conditions["ready"] else "notReadyAddresses"
        by_ports.setdefault(ports, {}).setdefault(side, []).append(_address(endpoint))
    subsets = []
    for ports in sorted(by_ports):
        subset: Obj = {side: sorted(addresses, key=_order) for side, addresses in by_ports[ports].items()}
        wire = ports.as_wire()
        for port in wire:
            if not port["name"]:
                del port["name"]
        subsets.append({**subset, **({"ports": wire} if wire else {})})
    return subsets, cut


def desired_object(service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], existing: Obj | None) -> Obj:
    """Return the Endpoints object as it should be, on top of what is there."""
    subsets, cut = plan_subsets(service, pods)
    metadata = dict(existing["metadata"]) if existing else {
        "name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"],
    }  # fmt: skip
    labels = {**(service["metadata"].get("labels") or {}), MANAGED_BY: MANAGER}
    labels.pop(HEADLESS, None)
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS] = ""
    metadata["labels"] = labels
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != TRUNCATED}
    if cut:
        annotations[TRUNCATED] = "truncated"
    if annotations or "annotations" in metadata:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


def is_same(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> bool:
    """Say whether nothing is to be written."""
    if old is None:
        return False
    return (
        (new.get("subsets") or []) == (old.get("subsets") or [])
        and new["metadata"].get("labels") == old["metadata"].get("labels")
        and (new["metadata"].get("annotations") or {}) == (old["metadata"].get("annotations") or {})
    )
