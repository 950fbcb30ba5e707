"""Runtime classes: names for ways of running containers."""

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import immutable, invalid, invalid_each, required
from windlass.apimachinery.quantity import parse_quantity
from windlass.apimachinery.schema import ListOf, MapOf, Nested, ObjectSchema, Quantity, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import age
from windlass.apis.core.v1.placement import Toleration
from windlass.apis.core.v1.placement_validation import validate_tolerations
from windlass.apis.core.v1.resource_validation import validate_resource_name
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.meta.validation import validate_labels
from windlass.errors import FieldError

PREFIX = "io.k8s.api.node.v1"


class Overhead(ObjectSchema):
    """Resources that running a pod this way costs."""

    openapi_prefix = PREFIX

    pod_fixed = MapOf("Resources that each pod needs beside its containers'.", Quantity("Amount of the resource."))


class Scheduling(ObjectSchema):
    """Nodes that can run pods this way."""

    openapi_prefix = PREFIX

    node_selector = MapOf("Labels that such nodes have; added to the pods' own selector.", Str("Value of the label."),
                          map_type="atomic")
    tolerations = ListOf("Tolerations that are added to the pods' own.", Toleration)


class RuntimeClass(ApiObject):
    """Gives a name to a way of running containers."""

    openapi_prefix = PREFIX

    handler = Str("Name by which the node's runtime knows this way.", required=True)
    overhead = Nested("Resources that running a pod this way costs.", Overhead)
    scheduling = Nested("Nodes that can run pods this way.", Scheduling)


class RuntimeClassStrategy(Strategy):
    """Behaviour of runtime classes."""

    columns = (
        Column("Handler", lambda obj, _now: obj.get("handler") or "", description="The runtime's name for it."),
        Column("Age", age, description="Time since the class was created."),
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check handler, overhead and scheduling."""
        handler, scheduling = obj.get("handler") or "", obj.get("scheduling") or {}
        found = invalid_each("handler", handler, names.is_dns1123_label(handler)) if handler else [required("handler")]
        for name, value in ((obj.get("overhead") or {}).get("podFixed") or {}).items():
            path = f"overhead.podFixed[{name}]"
            found += validate_resource_name(name, path)
            if parse_quantity(value) < 0:
                found.append(invalid(path, value, "must be greater than or equal to 0"))
        found += validate_labels(scheduling.get("nodeSelector") or {}, "scheduling.nodeSelector")
        return found + validate_tolerations(scheduling.get("tolerations") or [], "scheduling.tolerations")

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the handler: running pods rely on it."""
        return immutable("handler", new.get("handler"), old.get("handler"))


KINDS = (
    KindDefinition(
        group="node.k8s.io", version="v1", kind="RuntimeClass", plural="runtimeclasses", singular="runtimeclass",
        namespaced=False, schema=RuntimeClass, strategy=RuntimeClassStrategy(),
    ),
)
