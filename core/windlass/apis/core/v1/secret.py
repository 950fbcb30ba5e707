"""Secrets."""

import base64
import binascii
import json

from windlass.apimachinery.field_errors import immutable, invalid, required, too_long
from windlass.apimachinery.schema import Bool, Bytes, MapOf, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.configmap import MAX_BYTES, decoded_bytes, validate_frozen, validate_keys
from windlass.apis.core.v1.schema import CoreObject
from windlass.errors import FieldError

OPAQUE = "Opaque"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
JSON_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
BASIC_AUTH = "kubernetes.io/basic-auth"


class Secret(CoreObject):
    """Confidential values for pods, as keys and values."""

    data = MapOf("Values by key, in base64.", Bytes("One value."))
    immutable = Bool("When true, the data may never change again; the object can only be deleted.")
    string_data = MapOf("Values as plain text; written into `data` and never shown.", Str("One value."))
    type = Str("What the values are for; fixes which keys must be there.", default=OPAQUE)


class SecretStrategy(Strategy):
    """Behaviour of Secrets."""

    columns = (
        Column("Type", lambda obj, _now: obj.get("type", OPAQUE), description="What the values are for."),
        Column("Data", lambda obj, _now: len(obj.get("data") or {}), type="string", description="Number of keys."),
        AGE,
    )

    def default(self, obj: Obj) -> None:
        """Fold `stringData` into `data`."""
        text = obj.pop("stringData", None)
        if text:
            data = obj.setdefault("data", {})
            data.update({key: base64.b64encode(value.encode()).decode() for key, value in text.items()})

    def validate(self, obj: Obj) -> list[FieldError]:
        """Hold each type to its keys, and the whole to 1 MiB."""
        data, sort = obj.get("data") or {}, obj.get("type", OPAQUE)
        found = validate_keys(data, "data")
        found += [required(f"data[{key}]") for key in REQUIRED_KEYS.get(sort, ()) if key not in data]
        if sort == BASIC_AUTH and not {"username", "password"} & data.keys():
            found += [required("data[username]"), required("data[password]")]
        annotations = obj["metadata"].get("annotations") or {}
        if sort == SERVICE_ACCOUNT_TOKEN and not annotations.get(SERVICE_ACCOUNT_NAME):
            found.append(required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]"))
        json_key = JSON_KEYS.get(sort)
        if json_key in data and not _is_json(data[json_key]):
            found.append(invalid(f"data[{json_key}]", "<secret contents redacted>", "not valid JSON"))
        return found + ([too_long("data", MAX_BYTES)] if decoded_bytes(data) > MAX_BYTES else [])

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the type, and respect `immutable`."""
        return [*immutable("type", new.get("type"), old.get("type")), *validate_frozen(new, old, ("data",))]

    def selectable_fields(self, obj: Obj) -> dict[str, str]:
        """Select by type."""
        return {"type": obj.get("type", OPAQUE)}


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except (binascii.Error, ValueError):
        return False
    return True


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="Secret",
        plural="secrets",
        singular="secret",
        namespaced=True,
        schema=Secret,
        strategy=SecretStrategy(),
    ),
)
