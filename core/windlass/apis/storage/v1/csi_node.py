"""CSI nodes: which drivers of volumes a node has."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, immutable, invalid, invalid_each, required
from windlass.apimachinery.schema import Int, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.persistent_volume_validation import validate_driver_name
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.storage.v1.schema import GROUP, StorageSchema
from windlass.errors import FieldError

MAX_NODE_ID_BYTES = 256


class VolumeNodeResources(StorageSchema):
    """How much of a driver's volumes a node bears."""

    count = Int("How many volumes at a time; no limit when absent.")


class CSINodeDriver(StorageSchema):
    """A driver that a node has."""

    allocatable = Nested("How much of the driver's volumes the node bears.", VolumeNodeResources)
    name = Str("Name of the driver.", required=True)
    node_id = Str("Name that the driver has for the node.", required=True, data_key="nodeID")
    topology_keys = ListOf("Labels of the node that say which volumes it reaches.", Str("One of them."))


class CSINodeSpec(StorageSchema):
    """What a node has for CSI volumes."""

    drivers = ListOf("The node's drivers.", CSINodeDriver, required=True, list_type="map", list_map_keys=("name",),
                     patch_strategy="merge", patch_merge_key="name")  # fmt: skip


class CSINode(ApiObject):
    """Tells of the CSI drivers that the node of that name has."""

    openapi_prefix = StorageSchema.openapi_prefix

    spec = Nested("What the node has.", CSINodeSpec, required=True)


def _drivers(obj: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (obj.get("spec") or {}).get("drivers") or ()


class CSINodeStrategy(Strategy):
    """Behaviour of CSI nodes."""

    columns = (
        Column("Drivers", lambda obj, _now: len(_drivers(obj)), type="integer", description="How many it has."),
        AGE,
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check each driver."""
        found: list[FieldError] = []
        seen: set[str] = set()
        for index, driver in enumerate(_drivers(obj)):
            path, name = f"spec.drivers[{index}]", driver.get("name") or ""
            found += validate_driver_name(name, f"{path}.name")
            if name in seen:
                found.append(duplicate(f"{path}.name", name))
            seen.add(name)
            found += _validate_node_id(driver.get("nodeID") or "", f"{path}.nodeID")
            found += _validate_keys(driver.get("topologyKeys") or (), f"{path}.topologyKeys")
            count = (driver.get("allocatable") or {}).get("count")
            if count is not None and count < 0:
                found.append(invalid(f"{path}.allocatable.count", count, "must be greater than or equal to 0"))
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep what was said of a driver; drivers may come and go."""
        before = {driver.get("name"): driver for driver in _drivers(old)}
        return [
            error
            for driver in _drivers(new)
            if driver.get("name") in before
            for error in immutable("CSINode.Spec.Drivers", driver, before[driver.get("name")])
        ]


def _validate_node_id(node_id: str, path: str) -> list[FieldError]:
    if not node_id:
        return [required(path)]
    long = len(node_id.encode("utf-8", "surrogatepass")) > MAX_NODE_ID_BYTES
    return [invalid(path, node_id, f"must be {MAX_NODE_ID_BYTES} characters or less")] if long else []


def _validate_keys(keys: Sequence[str], path: str) -> list[FieldError]:
    found = []
    for index, key in enumerate(keys):
        found += invalid_each(f"{path}[{index}]", key, names.is_qualified_name(key))
        if key in keys[:index]:
            found.append(duplicate(f"{path}[{index}]", key))
    return found


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="CSINode",
        plural="csinodes",
        singular="csinode",
        namespaced=False,
        schema=CSINode,
        strategy=CSINodeStrategy(),
    ),
)
