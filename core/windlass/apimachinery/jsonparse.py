"""Parse request bodies: strict JSON, bounded, with the place of what is wrong.

orjson does the work: it refuses NaN, lone surrogates, NUL in text and trailing garbage, and bounds nesting by itself. A
second parse by the standard library finds duplicate keys, and only when somebody asked for them.
"""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.errors import BadRequestError

MAX_DEPTH = 256
"""Deepest nesting of arrays and objects; Kubernetes' own types need a few dozen."""
MAX_DUPLICATES = 50


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed body. `duplicates`: paths of keys that an object repeats (the last value wins)."""

    value: dict[str, Any]
    duplicates: list[str]


def parse_object(body: bytes, *, find_duplicates: bool = False) -> Parsed:
    """Parse a JSON object. Raises BadRequestError naming line and column or path."""
    value = parse_value(body)
    if not isinstance(value, dict):
        raise BadRequestError(f"the body must be a JSON object, not {_describe(value)}")
    return Parsed(value, _duplicates(body) if find_duplicates else [])


def parse_value(body: bytes) -> Any:
    """Parse any JSON value within the bounds."""
    if not body:
        raise BadRequestError("the body is empty; a JSON object is expected")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not valid JSON: {_place(error)}") from None
    _check(value, "")
    return value


def _place(error: orjson.JSONDecodeError) -> str:
    return f"{error.msg} at line {error.lineno} column {error.colno}"


def _describe(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _check(root: Any, path: str) -> None:
    """Walk without recursion: depth, and numbers that JSON readers disagree on."""
    pending: list[tuple[Any, int]] = [(root, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise BadRequestError(f"the body nests more than {MAX_DEPTH} levels deep")
        nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in nested:
            if isinstance(item, dict | list):
                pending.append((item, depth + 1))
            elif isinstance(item, float) and (item in (float("inf"), float("-inf")) or item != item):  # noqa: PLR0124 - NaN
                raise BadRequestError(f"a number in the body is not finite{path and ' at ' + path}")


class _Pairs(dict[str, Any]):
    """A dict that remembers which of its keys came twice."""

    repeated: list[str]


def _collect(pairs: list[tuple[str, Any]]) -> _Pairs:
    collected = _Pairs(pairs)
    if len(collected) != len(pairs):
        seen: set[str] = set()
        collected.repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    return collected


def _duplicates(body: bytes) -> list[str]:
    try:
        root = json.loads(body, object_pairs_hook=_collect)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from None
    found: list[str] = []
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending and len(found) < MAX_DUPLICATES:
        value, path = pending.pop()
        if isinstance(value, _Pairs):
            found += [f"{path}.{key}".lstrip(".") for key in getattr(value, "repeated", ())]
            pending += [(nested, f"{path}.{key}".lstrip(".")) for key, nested in value.items()]
        elif isinstance(value, list):
            pending += [(nested, f"{path}[{index}]") for index, nested in enumerate(value)]
    return sorted(found)
