"""Types that operations refer to and no kind's schema does, and the named scalars.

Written out here because this layer is below `windlass.apis`, where the schemas of meta/v1 stand; where a kind's schema
reaches a type of the same name, the schema's definition wins.
"""

from typing import Any

Json = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
TIME = META + "Time"
MICRO_TIME = META + "MicroTime"
LIST_META = META + "ListMeta"
STATUS = META + "Status"
DELETE_OPTIONS = META + "DeleteOptions"
PATCH = META + "Patch"
WATCH_EVENT = META + "WatchEvent"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _number(description: str, bits: int) -> Json:
    return {"type": "integer", "format": f"int{bits}", "description": description}


def _kinded(description: str, properties: Json, *kind_names: str, **extra: Any) -> Json:
    made: Json = {
        "type": "object",
        "description": description,
        "properties": {
            "apiVersion": _text("Group and version that the object is written in."),
            "kind": _text("Name of the object's kind."),
            **properties,
        },
        **extra,
    }
    if kind_names:
        made["x-kubernetes-group-version-kind"] = [{"group": "", "kind": name, "version": "v1"} for name in kind_names]
    return made


def _list_meta() -> Json:
    return {
        "type": "object",
        "description": "Metadata of a list: the revision it shows and how to read on.",
        "properties": {
            "continue": _text("Token that fetches the next chunk; empty when the list is complete."),
            "remainingItemCount": _number("How many more objects follow this chunk, when that is known.", 64),
            "resourceVersion": _text("Revision of the store that the list shows."),
            "selfLink": _text("Unused; kept so that old clients can read the type."),
        },
    }


def _delete_options(ref: str) -> Json:
    return _kinded(
        "How an object is to be deleted.",
        {
            "dryRun": {
                "type": "array",
                "items": {"type": "string"},
                "x-kubernetes-list-type": "atomic",
                "description": "`All`: run every check and store nothing.",
            },
            "gracePeriodSeconds": _number("Seconds of grace before the object goes; 0 deletes at once.", 64),
            "orphanDependents": {"type": "boolean", "description": "Older form of propagationPolicy."},
            "preconditions": {"$ref": f"{ref}{META}Preconditions"},
            "propagationPolicy": _text("What becomes of dependents: Orphan, Background or Foreground."),
        },
        "DeleteOptions",
    )


def _status(ref: str) -> Json:
    return _kinded(
        "Outcome of a request that returns no object.",
        {
            "code": _number("HTTP code of the answer.", 32),
            "details": {"$ref": f"{ref}{META}StatusDetails"},
            "message": _text("What happened, for people."),
            "metadata": {"$ref": f"{ref}{LIST_META}"},
            "reason": _text("Why the request was refused, as one word for programs."),
            "status": _text("`Success` or `Failure`."),
        },
        "Status",
    )


def _status_details(ref: str) -> Json:
    return {
        "type": "object",
        "description": "What a refused request was about.",
        "properties": {
            "causes": {
                "type": "array",
                "items": {"$ref": f"{ref}{META}StatusCause"},
                "x-kubernetes-list-type": "atomic",
                "description": "Everything that was wrong.",
            },
            "group": _text("API group of the object concerned."),
            "kind": _text("Kind or resource of the object concerned."),
            "name": _text("Name of the object concerned."),
            "retryAfterSeconds": _number("Seconds after which a retry may succeed.", 32),
            "uid": _text("Unique id of the object concerned."),
        },
    }


def meta_definitions(ref: str, *, v3: bool) -> dict[str, Json]:
    """Return the definitions by name. `ref` is the prefix of references in the document."""
    quantity: Json = {"description": "An amount such as `100m`, `1.5Gi` or `2e3`."}
    int_or_string: Json = {
        "description": "An integer, or a string such as a port name or `25%`.",
        "format": "int-or-string",
    }
    if v3:
        quantity["oneOf"] = [{"type": "string"}, {"type": "number"}]
        int_or_string["oneOf"] = [{"type": "integer"}, {"type": "string"}]
    else:
        quantity["type"] = int_or_string["type"] = "string"
    preconditions = {
        "uid": _text("Unique id that the object must have."),
        "resourceVersion": _text("Revision that the object must be at."),
    }
    cause = {
        "field": _text("Path of the field."),
        "message": _text("What is wrong, for people."),
        "reason": _text("What is wrong, as one word for programs."),
    }
    return {
        QUANTITY: quantity,
        INT_OR_STRING: int_or_string,
        TIME: {"type": "string", "format": "date-time", "description": "An RFC 3339 time in whole seconds."},
        MICRO_TIME: {"type": "string", "format": "date-time", "description": "An RFC 3339 time with microseconds."},
        LIST_META: _list_meta(),
        DELETE_OPTIONS: _delete_options(ref),
        META + "Preconditions": {
            "type": "object",
            "description": "What must still be true of an object for a deletion.",
            "properties": preconditions,
        },
        STATUS: _status(ref),
        META + "StatusDetails": _status_details(ref),
        META + "StatusCause": {"type": "object", "description": "One thing that was wrong.", "properties": cause},
        PATCH: {"type": "object", "description": "A JSON, merge or strategic merge patch, as Content-Type says."},
        WATCH_EVENT: {
            "type": "object",
            "description": "One change that a watch reports.",
            "required": ["type", "object"],
            "properties": {
                "type": _text("ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."),
                "object": {"type": "object", "description": "The object after the change."},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "kind": "WatchEvent", "version": "v1"}],
        },
    }
