"""Nodes: the machines that pods run on."""

from collections.abc import Mapping

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each
from windlass.apimachinery.quantity import parse_quantity
from windlass.apimachinery.schema import Nested
from windlass.apimachinery.scheme import KindDefinition, Obj, Strategy
from windlass.apis.core.v1.node_printer import NODE_COLUMNS
from windlass.apis.core.v1.node_spec import NodeSpec
from windlass.apis.core.v1.node_status import NodeStatus
from windlass.apis.core.v1.placement_validation import validate_taints
from windlass.apis.core.v1.schema import CoreObject
from windlass.errors import FieldError


class Node(CoreObject):
    """A machine that pods run on."""

    spec = Nested("What is wanted of the node.", NodeSpec, default={})
    status = Nested("How the node fares and what it has.", NodeStatus)


class NodeStrategy(Strategy):
    """Behaviour of nodes."""

    columns = NODE_COLUMNS

    def prepare_for_create(self, obj: Obj) -> None:
        """Keep the status: an agent registers its node together with what it has."""

    def default(self, obj: Obj) -> None:
        """Let the single podCIDR and the list agree, and offer all of the capacity when nothing else is said."""
        spec = obj.setdefault("spec", {})
        ranges = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
        if ranges:
            spec["podCIDRs"], spec["podCIDR"] = ranges, ranges[0]
        status = obj.get("status") or {}
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check taints, ranges, addresses and amounts."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        found = validate_taints(spec.get("taints") or [], "spec.taints")
        for index, cidr in enumerate(spec.get("podCIDRs") or []):
            found += invalid_each(f"spec.podCIDRs[{index}]", cidr, names.is_cidr(cidr))
        seen = set()
        for index, address in enumerate(status.get("addresses") or []):
            pair = (address.get("type"), address.get("address"))
            if pair in seen:
                found.append(duplicate(f"status.addresses[{index}]", dict(address)))
            seen.add(pair)
        for field in ("capacity", "allocatable"):
            found += [invalid(f"status.{field}[{name}]", value, "must be greater than or equal to 0")
                      for name, value in (status.get(field) or {}).items() if parse_quantity(value) < 0]
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep what ties a node to its network and its machine, once set."""
        after, before = new.get("spec") or {}, old.get("spec") or {}
        return [forbidden(f"spec.{field}", f'node updates may not change {word} except from "" to valid')
                for field, word in (("podCIDRs", "podCIDR"), ("providerID", "providerID"))
                if before.get(field) and after.get(field) != before[field]]

    def warnings(self, obj: Obj) -> list[str]:
        """Name fields that are no longer used."""
        spec = obj.get("spec") or {}
        return [f"spec.{field}: deprecated in {version}, no longer used"
                for field, version in (("configSource", "v1.22"), ("externalID", "v1.16")) if spec.get(field)]

    def selectable_fields(self, obj: Obj) -> Mapping[str, str]:
        """Return whether the node is cordoned."""
        return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}


KINDS = (
    KindDefinition(
        group="", version="v1", kind="Node", plural="nodes", singular="node", namespaced=False, schema=Node,
        strategy=NodeStrategy(), short_names=("no",), subresources=("status", "proxy"),
    ),
)
