"""Storage classes: who makes the volumes of a claim, and how."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import (
    duplicate,
    forbidden,
    immutable,
    invalid,
    invalid_each,
    required,
    too_long,
)
from windlass.apimachinery.schema import Bool, ListOf, MapOf, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.topology_selector import TopologySelectorTerm
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.storage.v1.schema import GROUP, StorageSchema
from windlass.errors import FieldError

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
IS_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"
MAX_PARAMETERS = 512
MAX_PARAMETER_BYTES = 256 * 1024


class StorageClass(ApiObject):
    """Describes storage that claims may ask for by name."""

    openapi_prefix = StorageSchema.openapi_prefix

    allow_volume_expansion = Bool("Whether claims of the class may grow.")
    allowed_topologies = ListOf("Areas in which volumes may be made; everywhere when absent.", TopologySelectorTerm)
    mount_options = ListOf("Options that volumes of the class are mounted with.", Str("One of them."))
    parameters = MapOf("Settings for the provisioner.", Str("Value of the key."))
    provisioner = Str("Name of who makes the volumes.", required=True)
    reclaim_policy = Str("What becomes of a volume when its claim is gone.", default="Delete",
                         enum=("Delete", "Retain"))  # fmt: skip
    volume_binding_mode = Str("Whether claims get their volume at once or with their first pod.", default="Immediate",
                              enum=("Immediate", "WaitForFirstConsumer"))  # fmt: skip


def is_default_class(obj: Mapping[str, Any]) -> bool:
    """Say whether claims that name no class get this one."""
    annotations = obj["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in (IS_DEFAULT, IS_DEFAULT_BETA))


def _name(obj: Obj) -> str:
    name = obj["metadata"].get("name", "")
    return f"{name} (default)" if is_default_class(obj) else name


class StorageClassStrategy(Strategy):
    """Behaviour of storage classes."""

    columns = (
        Column("Name", lambda obj, _now: _name(obj), format="name", description="Name, and whether it is the default."),
        Column("Provisioner", lambda obj, _now: obj.get("provisioner") or "", description="Who makes the volumes."),
        Column("ReclaimPolicy", lambda obj, _now: obj.get("reclaimPolicy") or "Delete",
               description="What becomes of a volume when its claim is gone."),
        Column("VolumeBindingMode", lambda obj, _now: obj.get("volumeBindingMode") or "Immediate",
               description="When claims get their volume."),
        Column("AllowVolumeExpansion", lambda obj, _now: bool(obj.get("allowVolumeExpansion")), type="boolean",
               description="Whether claims may grow."),
        AGE,
    )  # fmt: skip

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check provisioner, parameters and topologies."""
        provisioner = obj.get("provisioner") or ""
        found = _validate_parameters(obj.get("parameters") or {})
        if not provisioner:
            found.append(required("provisioner"))
        else:
            found += invalid_each("provisioner", provisioner, names.is_qualified_name(provisioner.lower()))
        return found + _validate_topologies(obj.get("allowedTopologies") or [])

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep what volumes were made by."""
        found = [
            forbidden(field, f"updates to {field} are forbidden.")
            for field in ("parameters", "provisioner", "reclaimPolicy")
            if (new.get(field) or None) != (old.get(field) or None)
        ]
        return found + immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def _validate_parameters(parameters: Mapping[str, str]) -> list[FieldError]:
    if len(parameters) > MAX_PARAMETERS:
        return [too_long("parameters", MAX_PARAMETERS)]
    found = [invalid("parameters", key, "field can not be empty.") for key in parameters if not key]
    size = sum(len(key.encode()) + len(value.encode("utf-8", "surrogatepass")) for key, value in parameters.items())
    return [*found, too_long("parameters", MAX_PARAMETER_BYTES)] if size > MAX_PARAMETER_BYTES else found


def _validate_topologies(terms: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    found = []
    for place, term in enumerate(terms):
        keys: set[str] = set()
        for index, expression in enumerate(term.get("matchLabelExpressions") or []):
            path, key = f"allowedTopologies[{place}].matchLabelExpressions[{index}]", expression.get("key") or ""
            found += invalid_each(f"{path}.key", key, names.is_qualified_name(key))
            if key in keys:
                found.append(duplicate(f"{path}.key", key))
            keys.add(key)
            found += _validate_topology_values(expression.get("values") or [], f"{path}.values")
    return found


def _validate_topology_values(values: Sequence[str], path: str) -> list[FieldError]:
    if not values:
        return [required(path)]
    return [duplicate(f"{path}[{index}]", value) for index, value in enumerate(values) if value in values[:index]]


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="StorageClass",
        plural="storageclasses",
        singular="storageclass",
        namespaced=False,
        schema=StorageClass,
        strategy=StorageClassStrategy(),
        short_names=("sc",),
    ),
)
