"""Priority classes: how important pods are to each other."""

from windlass.apimachinery.field_errors import forbidden, immutable
from windlass.apimachinery.schema import Bool, Int, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import age
from windlass.apis.meta.v1 import ApiObject
from windlass.errors import FieldError

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
DEFAULT_PREEMPTION_POLICY = "PreemptLowerPriority"


class PriorityClass(ApiObject):
    """Gives a name to a priority that pods may ask for."""

    openapi_prefix = "io.k8s.api.scheduling.v1"

    description = Str("When to use the class, for people.")
    global_default = Bool("Whether pods that name no class get this one.")
    preemption_policy = Str("Whether pods of the class may push out others.", default=DEFAULT_PREEMPTION_POLICY,
                            enum=("Never", DEFAULT_PREEMPTION_POLICY))
    value = Int("The priority: of two pods, the one with the higher number goes first.", required=True, default=0)


class PriorityClassStrategy(Strategy):
    """Behaviour of priority classes."""

    columns = (
        Column("Value", lambda obj, _now: obj.get("value") or 0, type="integer", description="The priority."),
        Column("Global-Default", lambda obj, _now: bool(obj.get("globalDefault")), type="boolean",
               description="Whether pods that name no class get this one."),
        Column("Age", age, description="Time since the class was created."),
        Column("PreemptionPolicy", lambda obj, _now: obj.get("preemptionPolicy") or DEFAULT_PREEMPTION_POLICY,
               description="Whether pods of the class may push out others."),
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Keep system names and system priorities to the system's own classes."""
        name, value = (obj.get("metadata") or {}).get("name") or "", obj.get("value") or 0
        if name.startswith(SYSTEM_PREFIX):
            if SYSTEM_CLASSES.get(name) == value:
                return []
            return [forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use "
                              f"only. error: {name} is not a known system priority class")]
        if value > HIGHEST_USER_PRIORITY:
            return [forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")]
        return []

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the value: pods carry copies of it."""
        found = immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))
        if new.get("value") != old.get("value"):
            found.append(forbidden("value", "may not be changed in an update."))
        return found


KINDS = (
    KindDefinition(
        group="scheduling.k8s.io", version="v1", kind="PriorityClass", plural="priorityclasses",
        singular="priorityclass", namespaced=False, schema=PriorityClass, strategy=PriorityClassStrategy(),
        short_names=("pc",),
    ),
)
