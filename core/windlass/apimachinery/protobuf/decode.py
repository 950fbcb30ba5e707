"""From protobuf to the plain JSON form of an object."""

import base64
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

from windlass.apimachinery.protobuf.wire import broken, read_fields, signed
from windlass.errors import BadRequestError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
MAX_DEPTH = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INLINE = frozenset({
    "volumeSource", "persistentVolumeSource", "handler", "localObjectReference", "ephemeralContainerCommon",
    "ingressRuleValue",
})  # fmt: skip
"""Fields whose own fields stand in their parent in JSON."""
KEPT_WHEN_EMPTY = frozenset({"storageClassName", "value"})
"""Strings whose emptiness says something; other empty strings mean absent."""
Fields = dict[int, tuple[str, str]]


@lru_cache(maxsize=1)
def _messages() -> dict[str, Fields]:
    table = json.loads(resources.files(__package__).joinpath("fields.json").read_text())
    return {
        message: {int(number): (name, code) for number, (name, code) in fields.items()}
        for message, fields in table.items()
    }


def decode_object(body: bytes) -> dict[str, Any]:
    r"""Return the object in an envelope (`k8s\0` + runtime.Unknown). Raises BadRequestError."""
    if not body.startswith(MAGIC):
        raise broken("it does not begin with the magic bytes of Kubernetes' envelope")
    envelope = _message("runtime.Unknown", body[len(MAGIC) :], 0)
    types = envelope.get("typeMeta") or {}
    api_version, kind = types.get("apiVersion", ""), types.get("kind", "")
    raw = base64.b64decode(envelope.get("raw", ""))
    return {"apiVersion": api_version, "kind": kind, **_message(_message_name(api_version, kind), raw, 0)}


def _message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    for candidate in (f"{group.split('.')[0] or 'core'}.{version}.{kind}", f"meta.v1.{kind}"):
        if candidate in _messages():
            return candidate
    raise BadRequestError(f"no protobuf form of {api_version} {kind} is known here; send JSON")


def _message(name: str, data: bytes, depth: int) -> Any:
    special = SPECIAL.get(name)
    if special is not None:
        return special(data)
    if depth > MAX_DEPTH:
        raise broken(f"it nests more than {MAX_DEPTH} levels deep")
    fields = _messages()[name]
    decoded: dict[str, Any] = {}
    for number, value in read_fields(data):
        if number in fields:
            field, code = fields[number]
            _store(decoded, field, code, value, depth)
    return decoded


def _store(decoded: dict[str, Any], field: str, code: str, value: int | bytes, depth: int) -> None:
    if code.startswith("["):
        decoded.setdefault(field, []).append(_value(field, code[1:], value, depth))
        return
    if code.startswith("{"):
        key, item = _entry(field, code[1:], value, depth)
        decoded.setdefault(field, {})[key] = item
        return
    read = _value(field, code, value, depth)
    if field in INLINE:
        decoded.update(read)
    elif read is not None and (read != "" or field in KEPT_WHEN_EMPTY):
        decoded[field] = read


def _entry(field: str, code: str, value: int | bytes, depth: int) -> tuple[str, Any]:
    key: str = ""
    item: Any = "" if code in "sb" else None
    for number, part in read_fields(_as_bytes(field, value)):
        if number == 1:
            key = _text(field, part)
        else:
            item = _value(field, code, part, depth)
    return key, item


def _value(field: str, code: str, value: int | bytes, depth: int) -> Any:
    match code:
        case "s":
            return _text(field, value)
        case "b":
            return base64.b64encode(_as_bytes(field, value)).decode()
        case "i" | "?":
            if not isinstance(value, int):
                raise broken(f"{field} must be a number")
            return bool(value) if code == "?" else signed(value)
        case "d":
            return struct.unpack("<d", _as_bytes(field, value))[0]
    read = _message(code, _as_bytes(field, value), depth + 1)
    # A target port that is no pointer is always sent; zero means that nobody has set it.
    return None if field == "targetPort" and read == 0 else read


def _as_bytes(field: str, value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise broken(f"{field} must have a length")
    return value


def _text(field: str, value: int | bytes) -> str:
    try:
        return _as_bytes(field, value).decode("utf-8")
    except UnicodeDecodeError:
        raise broken(f"{field} is not UTF-8") from None


def _moment(data: bytes) -> tuple[int, int] | None:
    found = dict(read_fields(data))
    seconds, nanos = found.get(1, 0), found.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        raise broken("a time must hold numbers")
    return (signed(seconds), signed(nanos)) if found else None


def _time(data: bytes, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str | None:
    moment = _moment(data)
    if moment is None:
        return None
    try:
        return (EPOCH + timedelta(seconds=moment[0], microseconds=moment[1] // 1000)).strftime(form)
    except OverflowError:
        raise broken("a time is out of range") from None


def _micro_time(data: bytes) -> str | None:
    return _time(data, "%Y-%m-%dT%H:%M:%S.%fZ")


def _quantity(data: bytes) -> str:
    return _text("quantity", dict(read_fields(data)).get(1, b"0")) or "0"


def _int_or_string(data: bytes) -> int | str:
    found = dict(read_fields(data))
    if found.get(1, 0) == 1:
        return _text("int-or-string", found.get(3, b""))
    number = found.get(2, 0)
    if not isinstance(number, int):
        raise broken("an int-or-string must hold a number or text")
    return signed(number)


def _raw_json(data: bytes) -> Any:
    raw = _as_bytes("raw", dict(read_fields(data)).get(1, b""))
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        raise broken("an embedded object is not JSON") from None


SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
    "runtime.RawExtension": _raw_json,
    "meta.v1.FieldsV1": _raw_json,
}
