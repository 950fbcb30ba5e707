"""`meta.k8s.io/v1` Tables: what `kubectl get` prints."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from windlass.apimachinery.durations import human
from windlass.apimachinery.scheme import Column, KindDefinition, Obj
from windlass.clock import parse_rfc3339

UNKNOWN = "<unknown>"


def age(obj: Mapping[str, Any], now: datetime) -> str:
    """Return the AGE cell: time since creation."""
    return since(obj.get("metadata", {}).get("creationTimestamp"), now)


def since(timestamp: str | None, now: datetime) -> str:
    """Return the time since an RFC 3339 moment as kubectl prints it; `<unknown>` without one."""
    return human((now - parse_rfc3339(timestamp)).total_seconds()) if timestamp else UNKNOWN


NAME = Column(
    "Name",
    lambda obj, _now: obj["metadata"].get("name", ""),
    format="name",
    description="Name of the object, unique in its namespace and kind.",
)
AGE = Column("Age", age, description="Time since the object was created.")


def columns_of(kind: KindDefinition) -> Sequence[Column]:
    """Return NAME, then the kind's own columns (which hold their AGE), or NAME and AGE.

    A kind that has its name elsewhere among its columns (format `name`, as Events do) gets no other.
    """
    own = kind.strategy.columns
    if any(column.format == "name" for column in own):
        return own
    return (NAME, *own) if own else (NAME, AGE)


def column_definitions(kind: KindDefinition) -> list[dict[str, Any]]:
    """Return the Table's `columnDefinitions`."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns_of(kind)
    ]


def row(kind: KindDefinition, obj: Obj, now: datetime, include_object: str = "Metadata") -> dict[str, Any]:
    """Return one row. `include_object`: None, Metadata (default) or Object, as the query parameter has it."""
    cells = [column.value(obj, now) for column in columns_of(kind)]
    made: dict[str, Any] = {"cells": cells}
    if include_object == "Object":
        made["object"] = obj
    elif include_object != "None":
        made["object"] = partial_metadata(obj)
    return made


def partial_metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj.get("metadata", {})}


def render(
    kind: KindDefinition,
    objects: Iterable[Obj],
    now: datetime,
    *,
    include_object: str = "Metadata",
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a Table of objects. `metadata` is the list's (resourceVersion, continue, remainingItemCount)."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata or {}),
        "columnDefinitions": column_definitions(kind),
        "rows": [row(kind, obj, now, include_object) for obj in objects],
    }
