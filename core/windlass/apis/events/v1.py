"""events.k8s.io/v1: the same stored events as the core group's, under newer field names."""

from windlass.apimachinery.schema import Int, MicroTime, Nested, ObjectSchema, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apis.core.v1.event import EventSource, EventStrategy
from windlass.apis.core.v1.event_validation import (
    validate_event,
    validate_event_update,
    validate_new_event,
    validate_series,
)
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.meta.v1 import ApiObject
from windlass.errors import FieldError

PREFIX = "io.k8s.api.events.v1"
RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedSource": "source",
}
_BACK = {core: new for new, core in RENAMED.items()}


class EventSeries(ObjectSchema):
    """How often an event has come again."""

    openapi_prefix = PREFIX

    count = Int("How many times so far.", required=True)
    last_observed_time = MicroTime("When it last came.", required=True)


class Event(ApiObject):
    """Something that happened to an object, kept for people to read."""

    openapi_prefix = PREFIX

    action = Str("What was done, or failed.")
    deprecated_count = Int("How often it has happened; the core group's field.")
    deprecated_first_timestamp = Time("When it first happened; the core group's field.")
    deprecated_last_timestamp = Time("When it last happened; the core group's field.")
    deprecated_source = Nested("Who saw it; the core group's field.", EventSource)
    event_time = MicroTime("When it first happened.")
    # Old events of the core group have none; Kubernetes publishes it as required and shows null for them.
    event_time.published_required = True
    note = Str("What happened, for people.")
    reason = Str("Why, in one word, for machines.")
    regarding = Nested("The object that it is about.", ObjectReference)
    related = Nested("A second object that matters to it.", ObjectReference)
    reporting_controller = Str("Controller that reports it.")
    reporting_instance = Str("Instance of that controller.")
    series = Nested("How often it has come again.", EventSeries)
    type = Str("Normal or Warning.")


def to_storage(event: Obj) -> Obj:
    """Return the core form of an event."""
    stored = {RENAMED.get(key, key): value for key, value in event.items()}
    stored["apiVersion"] = "v1"
    stored.setdefault("involvedObject", {})
    return stored


def from_storage(stored: Obj) -> Obj:
    """Return the events.k8s.io form of a stored event."""
    return {**{_BACK.get(key, key): value for key, value in stored.items()}, "apiVersion": "events.k8s.io/v1"}


def _as_core(column: Column) -> Column:
    return Column(
        column.name,
        lambda obj, now, value=column.value: value(to_storage(obj), now),  # type: ignore[misc]
        column.type,
        column.format,
        column.priority,
        column.description,
    )


def _renamed(error: FieldError) -> FieldError:
    head, dot, rest = error.field.partition(".")
    return FieldError(f"{_BACK.get(head, head)}{dot}{rest}", error.message, error.reason)


class EventsStrategy(Strategy):
    """Behaviour of events, in the newer form: stricter about what a new one must say."""

    allow_create_on_update = True
    columns = tuple(_as_core(column) for column in EventStrategy.columns)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Events have no status."""

    def validate(self, obj: Obj) -> list[FieldError]:
        """Demand who reports what, and when; what an existing event of the old form lacks is forgiven."""
        stored = to_storage(obj)
        # Only an object that is being created has no version yet.
        is_new = not obj["metadata"].get("resourceVersion")
        new = [*validate_new_event(stored), *validate_series(stored)] if is_new else []
        return [_renamed(error) for error in (*validate_event(stored), *new)]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Let only the series and the note change."""
        return [_renamed(error) for error in validate_event_update(to_storage(new), to_storage(old))]

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by the object, the reason, the type and the controller."""
        regarding = obj.get("regarding") or {}
        names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        return {
            **{f"regarding.{name}": regarding.get(name, "") for name in names},
            "reason": obj.get("reason", ""),
            "reportingController": obj.get("reportingController", ""),
            "type": obj.get("type", ""),
        }


KINDS = (
    KindDefinition(
        group="events.k8s.io",
        version="v1",
        kind="Event",
        plural="events",
        singular="event",
        namespaced=True,
        schema=Event,
        strategy=EventsStrategy(),
        short_names=("ev",),
        storage_group="",
        to_storage=to_storage,
        from_storage=from_storage,
    ),
)
