"""Parse request bodies: strict JSON, bounded, with the place of what is wrong.

orjson does the work; it refuses NaN, lone surrogates, control characters and trailing text. What it lets pass and
other JSON readers do not agree on is found here: numbers beyond the range of int64 and float64, NUL characters in
strings, deep nesting, repeated keys. The standard library parses a body again only when a cheap test says that it may
matter.
"""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from windlass.errors import BadRequestError

MAX_DEPTH = 200
"""Deepest nesting of arrays and objects. Kubernetes' own types need a few dozen; orjson writes at most 254."""

MAX_DUPLICATES = 50
BOM = b"\xef\xbb\xbf"

_KEY = re.compile(rb'"[ \t\r\n]*:')
_SHAPE = bytes(
    ord("0") if chr(byte) in "0123456789." else ord("e") if chr(byte) in "eE" else ord(" ") for byte in range(256)
)
"""What matters of a body to see whether a number may be out of range: digits and dots, exponents, the rest."""
_LONG = b"0" * 19
_NUMBER_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)', re.DOTALL)
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed body. `duplicates`: paths of keys that an object repeats (the last value wins)."""

    value: Any
    duplicates: list[str] = field(default_factory=list)


def parse_object(body: bytes, *, find_duplicates: bool = True) -> Parsed:
    """Parse a JSON object, or an array (a JSON Patch). Raises BadRequestError naming the place."""
    value = parse_value(body)
    if not isinstance(value, dict | list):
        raise BadRequestError(f"the body must be a JSON object, not {_describe(value)}")
    keys = _check_nesting(value, body)
    if not find_duplicates or len(_KEY.findall(body)) == keys:
        return Parsed(value)  # no more colons after quotes than keys: nothing can have come twice
    return Parsed(value, _duplicates(body))


def parse_value(body: bytes) -> Any:
    """Parse any JSON value, without the bound on nesting. Raises BadRequestError naming the place."""
    if not body:
        raise BadRequestError("the body is empty; a JSON object is expected")
    if body.startswith(BOM):
        raise BadRequestError("the body begins with a byte order mark: line 1 column 1 (byte 0)")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not valid JSON: {_reason(error, body)}") from None
    shape = body.translate(_SHAPE)
    if _LONG in shape or b"0e" in shape:
        _check_numbers(body)
    nul = _NUL.search(body) if b"\\u0000" in body else None
    if nul is not None:
        raise BadRequestError(f"a string in the body holds a NUL character: {place(body, nul.end() - 6)}")
    return value


def place(body: bytes, offset: int) -> str:
    """Return `line 3 column 7 (byte 42)`."""
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + 1
    return f"line {line} column {column} (byte {offset})"


def _reason(error: orjson.JSONDecodeError, body: bytes) -> str:
    # orjson counts characters, people and editors do too; only bytes that are no text at all have no column.
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        return f"not UTF-8: {place(body, bad.start)}"
    return f"{error.msg.partition(': line')[0]}: line {error.lineno} column {error.colno} (char {error.pos})"


def _describe(value: Any) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _check_numbers(body: bytes) -> None:
    for match in _NUMBER_TOKEN.finditer(body):
        text = match[1]
        if text is None:
            continue
        if len(text) <= 20 and text.removeprefix(b"-").isdigit():
            fits = -(2**63) <= int(text) < 2**63
        elif text.removeprefix(b"-").isdigit():
            fits = False
        else:
            fits = math.isfinite(float(text))
        if not fits:
            raise BadRequestError(f"a number in the body is out of range: {place(body, match.start())}")


def _check_nesting(root: Any, body: bytes) -> int:
    """Return how many keys the value has, level by level without recursion. Raises above MAX_DEPTH."""
    level, keys, depth = [root], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadRequestError(f"the body nests deeper than {MAX_DEPTH} levels: {place(body, _too_deep_at(body))}")
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                keys += len(container)
                below += [item for item in container.values() if type(item) is dict or type(item) is list]
            else:
                below += [item for item in container if type(item) is dict or type(item) is list]
        level = below
    return keys


def _too_deep_at(body: bytes) -> int:
    depth = 0
    for match in _BRACKET.finditer(body):
        depth += (match[1] is not None) - (match[2] is not None)
        if depth > MAX_DEPTH:
            return match.start()
    return len(body)


class _Pairs(dict[str, Any]):
    """A dict that remembers which of its keys came more than once."""

    repeated: tuple[str, ...] = ()


def _collect(pairs: list[tuple[str, Any]]) -> _Pairs:
    collected = _Pairs(pairs)
    if len(collected) != len(pairs):
        seen: dict[str, int] = {}
        for key, _ in pairs:
            seen[key] = seen.get(key, 0) + 1
        collected.repeated = tuple(key for key, count in seen.items() if count > 1)
    return collected


def _duplicates(body: bytes) -> list[str]:
    root = json.loads(body, object_pairs_hook=_collect)
    found: list[str] = []
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending and len(found) < MAX_DUPLICATES:
        value, path = pending.pop()
        if isinstance(value, _Pairs):
            found += [f"{path}.{key}".removeprefix(".") for key in value.repeated]
            pending += [(nested, f"{path}.{key}".removeprefix(".")) for key, nested in value.items()]
        elif isinstance(value, list):
            pending += [(nested, f"{path}[{index}]") for index, nested in enumerate(value)]
    return sorted(found)
