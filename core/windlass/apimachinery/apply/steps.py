"""The steps of paths into an object, as `FieldsV1` writes them and as people read them."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

FIELD, KEY, VALUE = "f:", "k:", "v:"


def key_step(names: Sequence[str], values: Sequence[Any]) -> str:
    """Return the step to the item of a list whose keys (sorted by name) have these values."""
    return KEY + orjson.dumps(dict(zip(names, values, strict=True))).decode()


def value_step(value: Any) -> str:
    """Return the step to an item of a set."""
    return VALUE + orjson.dumps(value).decode()


def step_text(step: str) -> str:
    """Return a step as messages show it: `.replicas`, `[name="web"]`, `[="text"]`."""
    kind, rest = step[:2], step[2:]
    if kind == FIELD:
        return f".{rest}"
    if kind == VALUE:
        return f"[={rest}]"
    try:
        keys = dict(json.loads(rest)) if kind == KEY else {}
    except (ValueError, TypeError):
        keys = {}
    listed = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in keys.items())
    return f"[{listed or rest}]"
