"""What must hold in an event, whichever group's form it came in; works on the core form.

Old events say when they happened in `firstTimestamp`, new ones in `eventTime`. New ones must say who reports what; only
clients of events.k8s.io are held to the new form.
"""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.field_errors import immutable, invalid, invalid_each, required
from windlass.apimachinery.names import is_qualified_name
from windlass.errors import FieldError

TYPES = ("Normal", "Warning")
MAX_WORD = 128
MAX_MESSAGE = 1024
CLUSTER_NAMESPACES = ("default", "kube-system")
OLD_FIELDS = ("firstTimestamp", "lastTimestamp", "count", "source")
FROZEN_FIELDS = (
    "involvedObject",
    "reason",
    *OLD_FIELDS,
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def validate_event(event: Mapping[str, Any]) -> list[FieldError]:
    """Check an event of either form. Where it lives must fit what it is about."""
    namespace = (event.get("metadata") or {}).get("namespace") or ""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    is_new = bool(event.get("eventTime"))
    # Objects of the whole cluster have their events in these.
    cluster = CLUSTER_NAMESPACES if is_new else ("", "default")
    fits = (is_new or about == namespace) if about else namespace in cluster
    found = [] if fits else [invalid("involvedObject.namespace", about, "does not match event.namespace")]
    return found + (_validate_reporter(event) if is_new else [])


def _validate_reporter(event: Mapping[str, Any]) -> list[FieldError]:
    reporter = event.get("reportingComponent") or ""
    found = [] if reporter else [required("reportingComponent")]
    found += invalid_each("reportingComponent", reporter, is_qualified_name(reporter)) if reporter else []
    for name in ("reportingInstance", "action", "reason"):
        value = event.get(name) or ""
        if not value:
            found.append(required(name))
        elif len(value) > MAX_WORD:
            found.append(invalid(name, "", f"can have at most {MAX_WORD} characters"))
    if len(event.get("message") or "") > MAX_MESSAGE:
        found.append(invalid("message", "", f"can have at most {MAX_MESSAGE} characters"))
    return found


def validate_new_event(event: Mapping[str, Any]) -> list[FieldError]:
    """Check what events.k8s.io demands of an event that is being created."""
    found = [] if event.get("eventTime") else [required("eventTime")]
    if event.get("type") not in TYPES:
        found.append(invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    return found + [invalid(name, "", "needs to be unset") for name in OLD_FIELDS if event.get(name)]


def validate_series(event: Mapping[str, Any]) -> list[FieldError]:
    """Check that a series is one: at least two, the last at a known time."""
    series = event.get("series")
    if series is None:
        return []
    found = [] if series.get("count", 0) >= 2 else [invalid("series.count", "", "should be at least 2")]
    return found if series.get("lastObservedTime") else [*found, required("series.lastObservedTime")]


def validate_event_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Let only the series, the message and metadata of an event change.

    Kubernetes 1.32 freezes the message, too, while its conformance list asks that it can be patched: leniency serves both.
    """
    found = [error for name in FROZEN_FIELDS for error in immutable(name, new.get(name), old.get(name))]
    return found + (validate_series(new) if new.get("series") != old.get("series") else [])
