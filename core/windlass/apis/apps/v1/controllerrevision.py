"""ControllerRevisions: snapshots that controllers keep for going back."""

from windlass.apimachinery.field_errors import immutable, invalid, required
from windlass.apimachinery.meta import get_controller_of
from windlass.apimachinery.schema import AnyValue, Int
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.workload import NONE, AppsObject
from windlass.errors import FieldError


class ControllerRevision(AppsObject):
    """A snapshot of part of an object, under a number."""

    data = AnyValue("The snapshot, in the controller's own form; may not change.")
    revision = Int("Number of the snapshot: the higher, the newer.", bits=64, required=True)


def _controller(obj: Obj) -> str:
    owner = get_controller_of(obj)
    if owner is None:
        return NONE
    group = str(owner.get("apiVersion", "")).rpartition("/")[0]
    kind = str(owner.get("kind", "")).lower()
    return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"


class ControllerRevisionStrategy(Strategy):
    """Behaviour of controller revisions."""

    columns = (
        Column("Controller", lambda obj, _now: _controller(obj), description="Whose snapshot it is."),
        Column("Revision", lambda obj, _now: obj.get("revision", 0), description="Number of the snapshot."),
        AGE,
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Demand data and a number that is none below zero."""
        found = [] if obj.get("data") is not None else [required("data", "data is mandatory")]
        if obj.get("revision", 0) < 0:
            found.append(invalid("revision", obj["revision"], "must be greater than or equal to 0"))
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the data."""
        return immutable("data", new.get("data"), old.get("data"))


KINDS = (
    KindDefinition(
        group="apps",
        version="v1",
        kind="ControllerRevision",
        plural="controllerrevisions",
        singular="controllerrevision",
        namespaced=True,
        schema=ControllerRevision,
        strategy=ControllerRevisionStrategy(),
    ),
)
