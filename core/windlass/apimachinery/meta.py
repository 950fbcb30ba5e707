"""Reading and building object metadata: owners, conditions, copies."""

import os
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from windlass.apimachinery.scheme import Obj

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def new_uid() -> str:
    """Return a fresh uid (a random UUID)."""
    # Unique, not secret: random's generator is seeded by the system, anew after a fork, and needs no system call each.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def random_suffix(length: int = 5) -> str:
    """Return random characters for generated names: no vowels, so no words."""
    return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in os.urandom(length))


def deep_copy_json(value: Any) -> Any:
    """Return a copy of a JSON value that shares nothing with it. Fast: two passes in C."""
    return orjson.loads(orjson.dumps(value))


def name_of(obj: Mapping[str, Any]) -> str:
    """Return `metadata.name`, empty when absent."""
    return str((obj.get("metadata") or {}).get("name") or "")


def namespace_of(obj: Mapping[str, Any]) -> str:
    """Return `metadata.namespace`, empty when absent."""
    return str((obj.get("metadata") or {}).get("namespace") or "")


def key_of(obj: Mapping[str, Any]) -> str:
    """Return `namespace/name`, or just `name` for objects of the whole cluster: the key of work queues."""
    namespace, name = namespace_of(obj), name_of(obj)
    return f"{namespace}/{name}" if namespace else name


def is_being_deleted(obj: Mapping[str, Any]) -> bool:
    """Say whether deletion of the object was asked for."""
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def get_controller_of(obj: Mapping[str, Any]) -> Obj | None:
    """Return the owner reference with `controller: true`, or None."""
    for reference in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(obj: Mapping[str, Any], owner_uid: str) -> bool:
    """Say whether the owner of that uid is the controller of the object."""
    reference = get_controller_of(obj)
    return reference is not None and reference.get("uid") == owner_uid


def new_controller_ref(owner: Mapping[str, Any]) -> Obj:
    """Return the owner reference by which `owner` (with apiVersion, kind and uid) controls another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def find_condition(conditions: Iterable[Mapping[str, Any]] | None, condition_type: str) -> Mapping[str, Any] | None:
    """Return the condition of that type, or None."""
    return next((item for item in conditions or () if item.get("type") == condition_type), None)


def get_condition(obj: Mapping[str, Any], condition_type: str) -> Mapping[str, Any] | None:
    """Return a condition of the object's `status.conditions` by type, or None."""
    return find_condition((obj.get("status") or {}).get("conditions"), condition_type)


def is_condition_true(conditions: Iterable[Mapping[str, Any]] | None, condition_type: str) -> bool:
    """Say whether the condition is there and `True`."""
    found = find_condition(conditions, condition_type)
    return found is not None and found.get("status") == "True"


def set_condition(conditions: Sequence[Mapping[str, Any]] | None, condition: Mapping[str, Any], now: str) -> list[Obj]:
    """Return the conditions with one added or replaced, in place of the old one of its type.

    `condition` has at least type and status; `now` (RFC 3339) becomes `lastTransitionTime` unless the status is
    unchanged. The input is not changed. Equal input gives equal output, so callers may compare before writing.
    """
    before = find_condition(conditions, condition["type"])
    changed = before is None or before.get("status") != condition["status"] or not before.get("lastTransitionTime")
    moment = now if changed or before is None else before["lastTransitionTime"]
    new = {**(before or {}), **condition, "lastTransitionTime": moment}
    result = [new if item is before else dict(item) for item in conditions or ()]
    return result if before is not None else [*result, new]


def remove_condition(conditions: Sequence[Mapping[str, Any]] | None, condition_type: str) -> list[Obj]:
    """Return the conditions without that of the type."""
    return [dict(item) for item in conditions or () if item.get("type") != condition_type]
