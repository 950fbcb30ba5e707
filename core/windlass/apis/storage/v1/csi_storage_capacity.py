"""CSI storage capacities: how much storage of a class is left in an area."""

from windlass.apimachinery.field_errors import immutable, invalid, required
from windlass.apimachinery.quantity import canonical, parse_quantity
from windlass.apimachinery.schema import Nested, Quantity, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apis.core.v1.access_modes import validate_class_name
from windlass.apis.meta.v1 import ApiObject, LabelSelector
from windlass.apis.storage.v1.schema import GROUP, StorageSchema
from windlass.errors import FieldError


class CSIStorageCapacity(ApiObject):
    """Tells how much storage of a class is left on some nodes."""

    openapi_prefix = StorageSchema.openapi_prefix

    capacity = Quantity("Storage that is left for new volumes.")
    maximum_volume_size = Quantity("Size of the largest volume that can be made.")
    node_topology = Nested("Nodes that reach the storage; none when absent.", LabelSelector)
    storage_class_name = Str("Class of the storage.", required=True)


def _capacity(obj: Obj) -> str:
    value = obj.get("capacity")
    return "<unset>" if value is None else canonical(str(value))


class CSIStorageCapacityStrategy(Strategy):
    """Behaviour of storage capacities."""

    columns = (
        Column("StorageClassName", lambda obj, _now: obj.get("storageClassName") or "", description="The class."),
        Column("Capacity", lambda obj, _now: _capacity(obj), description="Storage that is left."),
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check class and amounts."""
        name = obj.get("storageClassName")
        found = validate_class_name(name, "storageClassName") if name else [required("storageClassName")]
        for field in ("capacity", "maximumVolumeSize"):
            value = obj.get(field)
            if value is not None and parse_quantity(str(value)) < 0:
                found.append(invalid(field, value, "must be greater than or equal to 0"))
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep which storage is meant."""
        return [
            *immutable("nodeTopology", new.get("nodeTopology"), old.get("nodeTopology")),
            *immutable("storageClassName", new.get("storageClassName"), old.get("storageClassName")),
        ]


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="CSIStorageCapacity",
        plural="csistoragecapacities",
        singular="csistoragecapacity",
        namespaced=True,
        schema=CSIStorageCapacity,
        strategy=CSIStorageCapacityStrategy(),
    ),
)
