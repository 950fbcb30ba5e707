"""How an object and its managed fields are stored: the managed fields come last, so that who needs none parses none.

The record of who owns what is about as long as the object itself and of no interest to most readers. It is the last key
of `metadata`, which is the last key of the object; cut off there, the rest is the object. See decision note 0005.
"""

from functools import lru_cache
from typing import Any

import orjson

from windlass.apimachinery.apply.managers import Entry

_KEY = b',"managedFields":'
_BEGIN = _KEY + b'[{"manager":'
_END = b"}}"
_TIME, _TIME_LENGTH = b'"time":"', len("2006-01-02T15:04:05Z")
_SKELETONS = 1024


def join(plain: bytes, managed: bytes) -> bytes:
    """Return an encoded object, whose last key is `metadata`, with its managed fields (b'': it has none)."""
    return plain[:-2] + _KEY + managed + _END if managed else plain


def parse(encoded: bytes) -> tuple[dict[str, Any], bytes]:
    """Return an object without its managed fields, and those, still encoded. Raises ValueError for what is no JSON."""
    at = encoded.rfind(_BEGIN)
    if at > 0 and encoded.endswith(_END):
        try:
            obj = orjson.loads(encoded[:at] + _END)
        except orjson.JSONDecodeError:
            obj = None  # the words stand in some other place of the object
        if type(obj) is dict and next(reversed(obj), None) == "metadata":
            return obj, encoded[at + len(_KEY) : -2]
    obj = orjson.loads(encoded)
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    entries = metadata.pop("managedFields", None) if isinstance(metadata, dict) else None
    return obj, dump(entries) if entries else b""


def last(obj: dict[str, Any]) -> dict[str, Any]:
    """Return the object with `metadata` as its last key."""
    if next(reversed(obj), None) == "metadata":
        return obj
    return {**{key: value for key, value in obj.items() if key != "metadata"}, "metadata": obj["metadata"]}


def entries_of(managed: bytes) -> list[Entry]:
    """Return encoded entries, parsed. Their field sets are shared between objects: never change one.

    Objects of one make differ in the times only, so that all of them together are parsed once.
    """
    if not managed:
        return []
    first, *parts = managed.split(_TIME)
    known = _skeleton(_TIME.join([first, *[part[_TIME_LENGTH:] for part in parts]]))
    if known is None or len(known) != len(parts):
        return list(orjson.loads(managed))  # some entry has no time, or another form of it
    return [
        {**entry, "time": part[:_TIME_LENGTH].decode()} for entry, part in zip(known, parts, strict=True)
    ]


def retimed(managed: bytes, time: str) -> bytes:
    """Return encoded entries of which the last one has another time."""
    at = managed.rfind(_TIME) + len(_TIME)
    return managed[:at] + time.encode() + managed[at + _TIME_LENGTH :]


@lru_cache(maxsize=_SKELETONS)
def _skeleton(managed: bytes) -> tuple[Entry, ...] | None:
    try:
        entries = orjson.loads(managed)
    except orjson.JSONDecodeError:
        return None
    return tuple(entries) if all(entry.get("time") == "" for entry in entries) else None


def dump(entries: list[Entry]) -> bytes:
    """Return entries encoded; b'' for none."""
    return orjson.dumps(entries) if entries else b""


def shown(obj: dict[str, Any], managed: bytes) -> dict[str, Any]:
    """Return the object as clients see it; the managed fields in it are for orjson only."""
    if not managed:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "managedFields": orjson.Fragment(managed)}}
