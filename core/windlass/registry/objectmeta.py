"""The parts of `metadata` that belong to the server, and what clients may put into the rest."""

import secrets

from windlass.apimachinery import names
from windlass.apimachinery.meta import new_uid
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.clock import Clock, rfc3339
from windlass.errors import BadRequestError, FieldError
from windlass.registry.refusals import conflict

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_NAME = 253
MAX_GENERATED_BASE = 63 - SUFFIX_LENGTH
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")


def generate_name(base: str) -> str:
    """Return `base` (cut to leave room) with a random suffix without vowels, as Kubernetes does."""
    return base[:MAX_GENERATED_BASE] + "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))


def place(kind: KindDefinition, obj: Obj, namespace: str, name: str) -> None:
    """Put an object where the request's path says it is. Raises 400 when the body says otherwise."""
    metadata = obj["metadata"] = obj.get("metadata") or {}
    if kind.namespaced:
        if metadata.get("namespace", namespace) not in (namespace, ""):
            raise BadRequestError(
                f"the namespace of the provided object does not match the namespace sent on the request: "
                f"{metadata['namespace']!r} and {namespace!r}"
            )
        metadata["namespace"] = namespace
    elif metadata.pop("namespace", ""):
        raise BadRequestError(f"metadata.namespace: {kind.kind} is not namespaced; leave the namespace out")
    if name and metadata.get("name", name) not in (name, ""):
        raise BadRequestError(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    if name:
        metadata["name"] = name


def fill_for_create(kind: KindDefinition, obj: Obj, clock: Clock) -> None:
    """Give a new object its name, uid, time and generation; drop what only the server may set."""
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        raise BadRequestError("resourceVersion should not be set on objects to be created")
    for key in (*SERVER_OWNED, "resourceVersion"):
        metadata.pop(key, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generate_name(metadata["generateName"])
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = rfc3339(clock.now())
    if kind.strategy.has_generation:
        metadata["generation"] = 1


def carry_over(kind: KindDefinition, new: Obj, old: Obj) -> None:
    """Keep on update what only the server may set. Raises 409 when the caller means another object of that name."""
    metadata, before = new["metadata"], old["metadata"]
    if metadata.get("uid") and metadata["uid"] != before.get("uid"):
        raise conflict(
            kind, before["name"],
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {before.get('uid')}",
        )
    for key in SERVER_OWNED:
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    metadata["resourceVersion"] = before["resourceVersion"]


def validate_metadata(obj: Obj) -> list[FieldError]:
    """Check the name of a new object; labels, annotations and references are the schema's."""
    metadata = obj["metadata"]
    name, base = metadata.get("name", ""), metadata.get("generateName", "")
    if len(base) > MAX_NAME:
        # What it begins with has become the name, which is checked below; only its length is lost on the way.
        problem = f'Invalid value: "{base[:MAX_NAME]}...": must be no more than {MAX_NAME} characters'
        return [FieldError("metadata.generateName", problem)]
    if not name:
        return [FieldError("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")]
    return [
        FieldError("metadata.name", f'Invalid value: "{name}": {message}') for message in names.is_dns1123_subdomain(name)
    ]


def validate_metadata_update(new: Obj, old: Obj) -> list[FieldError]:
    """Check that an object on its way out gets no new finalizers."""
    metadata, before = new["metadata"], old["metadata"]
    added = sorted(set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ()))
    if not added or not before.get("deletionTimestamp"):
        return []
    listed = ", ".join(f'"{name}"' for name in added)
    return [
        FieldError(
            "metadata.finalizers",
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}",
            "FieldValueForbidden",
        )
    ]
