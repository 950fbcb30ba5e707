"""Leases: who holds what, and since when."""

from windlass.apimachinery.field_errors import forbidden, invalid
from windlass.apimachinery.schema import Int, MicroTime, Nested, ObjectSchema, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.meta.v1 import ApiObject
from windlass.errors import FieldError

PREFIX = "io.k8s.api.coordination.v1"


class LeaseSpec(ObjectSchema):
    """Who holds the lease."""

    openapi_prefix = PREFIX

    acquire_time = MicroTime("When the holder took it.")
    holder_identity = Str("Who holds it.")
    lease_duration_seconds = Int("How long others wait after the last renewal before they take it.")
    lease_transitions = Int("How often it has changed hands.")
    preferred_holder = Str("Who should take it next.")
    renew_time = MicroTime("When the holder last renewed it.")
    strategy = Str("How the holder is chosen.")


class Lease(ApiObject):
    """A claim that must be renewed: leadership, or a node's sign of life."""

    openapi_prefix = PREFIX

    spec = Nested("Who holds the lease.", LeaseSpec)


class LeaseStrategy(Strategy):
    """Behaviour of leases."""

    allow_create_on_update = True
    columns = (
        Column("Holder", lambda obj, _now: (obj.get("spec") or {}).get("holderIdentity") or "",
               description="Who holds it."),
        AGE,
    )  # fmt: skip

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Leases have no status."""

    def validate(self, obj: Obj) -> list[FieldError]:
        """Demand a positive duration and a count that is none below zero."""
        spec = obj.get("spec") or {}
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        found = []
        if duration is not None and duration <= 0:
            found.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            found.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        if spec.get("preferredHolder") and not spec.get("strategy"):
            found.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))
        return found


KINDS = (
    KindDefinition(
        group="coordination.k8s.io",
        version="v1",
        kind="Lease",
        plural="leases",
        singular="lease",
        namespaced=True,
        schema=Lease,
        strategy=LeaseStrategy(),
    ),
)
