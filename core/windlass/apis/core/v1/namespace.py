"""Namespaces."""

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import invalid_each
from windlass.apimachinery.schema import ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.meta.validation import validate_finalizers
from windlass.errors import FieldError

NAME_LABEL = "kubernetes.io/metadata.name"
KUBERNETES_FINALIZER = "kubernetes"


class NamespaceSpec(CoreSchema):
    """What is asked of a namespace."""

    finalizers = ListOf("Who must agree before the namespace goes.", Str("Name of one of them."))


class NamespaceCondition(CoreSchema):
    """One observed aspect of a namespace."""

    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class NamespaceStatus(CoreSchema):
    """What is observed of a namespace."""

    conditions = ListOf(
        "Observed aspects, such as what keeps a deletion from finishing.",
        NamespaceCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    phase = Str("Active, or Terminating while its content is being removed.")


class Namespace(CoreObject):
    """A scope for names: objects in different namespaces do not clash."""

    spec = Nested("What is asked of the namespace.", NamespaceSpec)
    status = Nested("What is observed of the namespace.", NamespaceStatus)


class NamespaceStrategy(Strategy):
    """Behaviour of namespaces: they end by being emptied and finalized."""

    columns = (
        Column("Status", lambda obj, _now: (obj.get("status") or {}).get("phase", ""), description="Phase."),
        AGE,
    )

    def default(self, obj: Obj) -> None:
        """Put the namespace's own name among its labels, so that selectors can name it."""
        name = obj["metadata"].get("name")
        if name:
            obj["metadata"].setdefault("labels", {})[NAME_LABEL] = name

    def prepare_for_create(self, obj: Obj) -> None:
        """Start active, held by the namespace controller's finalizer."""
        obj["status"] = {"phase": "Active"}
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if KUBERNETES_FINALIZER not in finalizers:
            finalizers.append(KUBERNETES_FINALIZER)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep status and spec.finalizers: they have their own endpoints."""
        super().prepare_for_update(new, old)
        if "spec" in old:
            new["spec"] = old["spec"]
        else:
            new.pop("spec", None)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Demand a DNS label, since names become part of host names, and finalizers that say whose they are."""
        name = obj["metadata"].get("name") or ""
        found = invalid_each("metadata.name", name, names.is_dns1123_label(name))
        return found + validate_finalizers((obj.get("spec") or {}).get("finalizers") or [], "spec.finalizers")

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by phase."""
        return {"status.phase": (obj.get("status") or {}).get("phase", "")}


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="Namespace",
        plural="namespaces",
        singular="namespace",
        namespaced=False,
        schema=Namespace,
        strategy=NamespaceStrategy(),
        short_names=("ns",),
        subresources=("status", "finalize"),
    ),
)
