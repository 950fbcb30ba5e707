"""How slices get from what they hold to what they should hold with the fewest writes. Pure.

Endpoints stay in the slice that they are in. What is left over fills slices that are written anyway, then those with
room, then new ones. A slice that became empty goes, but for one: a Service with a selector always shows that it has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apimachinery.meta import new_controller_ref
from windlass_controllers.endpointslice.desired import PortSet

Obj = dict[str, Any]
MAX_ENDPOINTS = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
MANAGER = "endpointslice-controller.k8s.io"


@dataclass(slots=True)
class SlicePlan:
    """What to write. New slices have a `generateName`."""

    create: list[Obj] = field(default_factory=list)
    update: list[Obj] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)


def identity(endpoint: Mapping[str, Any]) -> str:
    """Return what makes an endpoint the same one: its pod, or its addresses."""
    reference = endpoint.get("targetRef") or {}
    return str(reference.get("uid") or ",".join(endpoint["addresses"]))


def ports_key(obj: Mapping[str, Any]) -> PortSet:
    """Return a slice's ports as the plan compares them."""
    return PortSet(
        tuple(
            sorted(
                (p.get("name") or "", p.get("protocol") or "TCP", p.get("port"), p.get("appProtocol") or "")
                for p in obj.get("ports") or ()
            )
        )
    )


@dataclass(frozen=True, slots=True)
class SliceOwner:
    """Whose slices are planned. `obj` is the object that they go with; `labels` are the slices' own."""

    obj: Mapping[str, Any]
    labels: Mapping[str, str]

    def new_slice(self, family: str, ports: PortSet, endpoints: Sequence[Obj]) -> Obj:
        """Build a slice."""
        metadata = self.obj["metadata"]
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "namespace": metadata["namespace"],
                "labels": dict(self.labels),
                "ownerReferences": [new_controller_ref(self.obj)],
            },
            "addressType": family,
            "endpoints": list(endpoints),
            "ports": ports.as_wire(),
        }


def service_owner(service: Mapping[str, Any]) -> SliceOwner:
    """Return a Service as the owner of its slices: they have its labels, and those that tell whose they are."""
    labels = {k: v for k, v in (service["metadata"].get("labels") or {}).items() if k != HEADLESS}
    labels |= {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return SliceOwner(service, labels)


def plan_slices(
    owner: SliceOwner,
    desired: Mapping[tuple[str, PortSet], Sequence[Obj]],
    existing: Sequence[Obj],
    families: Sequence[str],
) -> SlicePlan:
    """Return what to write. `existing` are the slices that this controller made for the owner.

    `families` are those of which there is always a slice, if only an empty one.
    """
    plan = SlicePlan()
    groups: dict[tuple[str, PortSet], list[Obj]] = {}
    for one in existing:
        groups.setdefault((one["addressType"], ports_key(one)), []).append(one)
    for key in sorted({*groups, *desired}, key=str):
        _plan_group(owner, key, list(desired.get(key, ())), groups.get(key, []), plan)
    for family in families:
        _keep_placeholder(owner, family, [one for one in existing if one["addressType"] == family], plan)
    return plan


def _plan_group(
    owner: SliceOwner, key: tuple[str, PortSet], wanted: list[Obj], slices: list[Obj], plan: SlicePlan
) -> None:
    open_ones = {identity(e): e for e in wanted}
    labels = dict(owner.labels)
    kept: list[tuple[Obj, list[Obj], bool]] = []
    for one in sorted(slices, key=lambda s: str(s["metadata"].get("name"))):
        before = one.get("endpoints") or []
        now = [open_ones.pop(identity(e)) for e in before if identity(e) in open_ones]
        kept.append((one, now, now != before or one["metadata"].get("labels") != labels))
    left = list(open_ones.values())
    for _, now, written in sorted(kept, key=lambda k: (not k[2], -len(k[1]))):
        if left and (written or len(left) <= MAX_ENDPOINTS - len(now)):
            taken, left = left[: MAX_ENDPOINTS - len(now)], left[MAX_ENDPOINTS - len(now) :]
            now.extend(taken)
    for one, now, written in kept:
        if not now:
            plan.delete.append(one)
        elif written or now != (one.get("endpoints") or []):
            metadata = {**one["metadata"], "labels": labels}
            plan.update.append({**one, "metadata": metadata, "endpoints": now, "ports": key[1].as_wire()})
    for start in range(0, len(left), MAX_ENDPOINTS):
        plan.create.append(owner.new_slice(key[0], key[1], left[start : start + MAX_ENDPOINTS]))


def _keep_placeholder(owner: SliceOwner, family: str, existing: Sequence[Obj], plan: SlicePlan) -> None:
    """Leave one empty slice of a family that would otherwise have none."""
    remaining = [one for one in existing if one not in plan.delete]
    if remaining or any(one["addressType"] == family for one in plan.create):
        return
    labels = dict(owner.labels)
    if not existing:
        plan.create.append(owner.new_slice(family, PortSet(()), []))
        return
    kept = min(existing, key=lambda s: str(s["metadata"].get("name")))
    plan.delete.remove(kept)
    if kept.get("endpoints") or kept.get("ports") or kept["metadata"].get("labels") != labels:
        metadata = {**kept["metadata"], "labels": labels}
        plan.update.append({**kept, "metadata": metadata, "endpoints": [], "ports": []})
