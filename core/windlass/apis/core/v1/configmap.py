"""ConfigMaps."""

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import forbidden, invalid, invalid_each, too_long
from windlass.apimachinery.schema import Bool, Bytes, MapOf, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.schema import CoreObject
from windlass.errors import FieldError

MAX_BYTES = 1024 * 1024


class ConfigMap(CoreObject):
    """Configuration for pods, as keys and values."""

    binary_data = MapOf(
        "Values that are not UTF-8 text, in base64; no key may stand in `data` as well.",
        Bytes("One value."),
    )
    data = MapOf("Text values by key.", Str("One value."))
    immutable = Bool("When true, the data may never change again; the object can only be deleted.")


def text_bytes(values: Mapping[str, str]) -> int:
    """Return the size of text values, in UTF-8."""
    return sum(len(value.encode("utf-8", "surrogatepass")) for value in values.values())


def decoded_bytes(values: Mapping[str, str]) -> int:
    """Return the size of base64 values once decoded, without decoding them."""
    return sum(len(value) * 3 // 4 - value[-2:].count("=") for value in values.values() if value)


def validate_keys(values: Iterable[str], path: str) -> list[FieldError]:
    """Check the keys, which become file names; the empty one is none."""
    return [error for key in values for error in invalid_each(f"{path}[{key}]", key, names.is_config_key(key))]


def validate_frozen(new: Mapping[str, Any], old: Mapping[str, Any], fields: tuple[str, ...]) -> list[FieldError]:
    """Hold an immutable ConfigMap or Secret to what it was."""
    if not old.get("immutable"):
        return []
    detail = "field is immutable when `immutable` is set"
    found = [forbidden(field, detail) for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    if not new.get("immutable"):
        found.insert(0, forbidden("immutable", detail))
    return found


class ConfigMapStrategy(Strategy):
    """Behaviour of ConfigMaps."""

    columns = (
        Column(
            "Data",
            lambda obj, _now: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
            type="string",
            description="Number of keys.",
        ),
        AGE,
    )

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the keys, keep text and binary ones apart, and the whole within 1 MiB."""
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        both = sorted(data.keys() & binary.keys())
        found = validate_keys(data, "data") + validate_keys(binary, "binaryData")
        found += [invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in both]
        found += [invalid(f"binaryData[{key}]", key, "duplicate of key present in data") for key in both]
        return found + ([too_long("", MAX_BYTES)] if text_bytes(data) + decoded_bytes(binary) > MAX_BYTES else [])

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Respect `immutable`."""
        return validate_frozen(new, old, ("data", "binaryData"))


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="ConfigMap",
        plural="configmaps",
        singular="configmap",
        namespaced=True,
        schema=ConfigMap,
        strategy=ConfigMapStrategy(),
        short_names=("cm",),
    ),
)
