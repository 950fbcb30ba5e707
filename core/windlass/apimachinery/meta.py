"""What every object has in common: identity, owners, conditions."""

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery.scheme import Obj

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def new_uid() -> str:
    """Return a fresh random UID (UUID version 4)."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def random_suffix(length: int = 5) -> str:
    """Return random characters for generated names: no vowels, so no words."""
    return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in os.urandom(length))


def deep_copy_json(value: Any) -> Any:
    """Copy plain JSON; several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: deep_copy_json(nested) for key, nested in value.items()}
    if isinstance(value, list):
        return [deep_copy_json(nested) for nested in value]
    return value


def get_controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the owner reference with `controller: true`, None when nobody controls the object."""
    references: Sequence[Mapping[str, Any]] = obj.get("metadata", {}).get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def is_controlled_by(obj: Mapping[str, Any], owner_uid: str) -> bool:
    """Say whether that owner controls the object."""
    reference = get_controller_of(obj)
    return reference is not None and reference.get("uid") == owner_uid


def get_condition(obj: Mapping[str, Any], condition_type: str) -> Mapping[str, Any] | None:
    """Return a condition of `status.conditions` by type."""
    conditions: Sequence[Mapping[str, Any]] = obj.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == condition_type), None)


def set_condition(conditions: list[Obj], condition: Obj, now: str) -> bool:
    """Put a condition into a list by type; return whether anything changed.

    `lastTransitionTime` moves only when `status` changes; `now` is RFC 3339.
    """
    for index, known in enumerate(conditions):
        if known["type"] != condition["type"]:
            continue
        moved = known.get("status") != condition["status"]
        merged = {**known, **condition}
        merged["lastTransitionTime"] = now if moved else known.get("lastTransitionTime", now)
        conditions[index] = merged
        return merged != known
    conditions.append({**condition, "lastTransitionTime": now})
    return True
