"""Events of the core group; events.k8s.io serves the same stored objects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.schema import Int, MicroTime, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import since
from windlass.apis.core.v1.event_validation import validate_event
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.meta.v1 import ObjectMeta
from windlass.errors import FieldError


class EventSeries(CoreSchema):
    """How often an event has come again."""

    count = Int("How many times so far.")
    last_observed_time = MicroTime("When it last came.")


class EventSource(CoreSchema):
    """Who saw it."""

    component = Str("The component.")
    host = Str("The node that it runs on.")


class Event(CoreObject):
    """Something that happened to an object, kept for people to read."""

    action = Str("What was done, or failed.")
    count = Int("How often it has happened.")
    event_time = MicroTime("When it first happened.")
    first_timestamp = Time("When it first happened, in whole seconds.")
    involved_object = Nested("The object that it is about.", ObjectReference, required=True)
    last_timestamp = Time("When it last happened, in whole seconds.")
    message = Str("What happened, for people.")
    metadata = Nested("Name, namespace, labels and the rest.", ObjectMeta, required=True, default={})
    reason = Str("Why, in one word, for machines.")
    related = Nested("A second object that matters to it.", ObjectReference)
    reporting_component = Str("Controller that reports it.", default="")
    reporting_instance = Str("Instance of that controller.", default="")
    series = Nested("How often it has come again.", EventSeries)
    source = Nested("Who saw it.", EventSource)
    type = Str("Normal or Warning.")


def last_seen(event: Mapping[str, Any]) -> str | None:
    """Return the newest time that an event names."""
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((str(time) for time in times if time), None)


def first_seen(event: Mapping[str, Any]) -> str | None:
    """Return the oldest time that an event names."""
    times = (event.get("firstTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((str(time) for time in times if time), None)


def _object(event: Mapping[str, Any], _now: datetime) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _source(event: Mapping[str, Any], _now: datetime) -> str:
    source = event.get("source") or {}
    parts = [source.get("component") or event.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(part for part in parts if part)


def _count(event: Mapping[str, Any], _now: datetime) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


class EventStrategy(Strategy):
    """Behaviour of events."""

    columns = (
        Column("Last Seen", lambda obj, now: since(last_seen(obj), now), description="Time since it last happened."),
        Column("Type", lambda obj, _now: obj.get("type", ""), description="Normal or Warning."),
        Column("Reason", lambda obj, _now: obj.get("reason", ""), description="Why, in one word."),
        Column("Object", _object, description="The object that it is about."),
        Column("Subobject", lambda obj, _now: (obj.get("involvedObject") or {}).get("fieldPath", ""), priority=1,
               description="Part of the object."),
        Column("Source", _source, priority=1, description="Who saw it."),
        Column("Message", lambda obj, _now: (obj.get("message") or "").strip(), description="What happened."),
        Column("First Seen", lambda obj, now: since(first_seen(obj), now), priority=1,
               description="Time since it first happened."),
        Column("Count", _count, type="integer", priority=1, description="How often."),
        Column("Name", lambda obj, _now: obj["metadata"].get("name", ""), format="name", priority=1,
               description="Name of the event."),
    )  # fmt: skip
    allow_create_on_update = True

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Events have no status."""

    def validate(self, obj: Obj) -> list[FieldError]:
        """Hold the event to what it is about and, in the newer form, to saying who reports it."""
        return validate_event(obj)

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by the object, the reason, the type and the source."""
        involved, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        return {
            **{f"involvedObject.{name}": involved.get(name, "") for name in names},
            "reason": obj.get("reason", ""),
            "reportingComponent": obj.get("reportingComponent", ""),
            "source": source.get("component") or obj.get("reportingComponent", ""),
            "type": obj.get("type", ""),
        }


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="Event",
        plural="events",
        singular="event",
        namespaced=True,
        schema=Event,
        strategy=EventStrategy(),
        short_names=("ev",),
    ),
)
