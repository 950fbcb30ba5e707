"""CSI drivers: what the cluster needs to know of a driver of volumes."""

from datetime import datetime

from windlass.apimachinery.field_errors import duplicate, immutable, invalid, not_supported, required
from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.persistent_volume_validation import validate_driver_name
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.storage.v1.schema import GROUP, StorageSchema
from windlass.errors import FieldError

LIFECYCLES = ("Ephemeral", "Persistent")
MIN_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 1 << 32


class TokenRequest(StorageSchema):
    """A token of the pod's service account that the driver gets."""

    audience = Str("Who the token is meant for; the API server when empty.", required=True, default="")
    expiration_seconds = Int("Seconds that the token is good for.", bits=64)


class CSIDriverSpec(StorageSchema):
    """How to deal with a driver."""

    attach_required = Bool("Whether volumes are attached to a node before they are mounted.", default=True)
    fs_group_policy = Str("Whether ownership of a volume is changed for a pod's group.",
                          default="ReadWriteOnceWithFSType", enum=("File", "None", "ReadWriteOnceWithFSType"))  # fmt: skip
    pod_info_on_mount = Bool("Whether the driver is told which pod it mounts for.", default=False)
    requires_republish = Bool("Whether the driver is called again from time to time.", default=False)
    se_linux_mount = Bool("Whether the driver mounts with an SELinux label.", default=False)
    storage_capacity = Bool("Whether the scheduler heeds the storage that the driver says it has left.", default=False)
    token_requests = ListOf("Tokens of the pod's service account that the driver gets.", TokenRequest)
    volume_lifecycle_modes = ListOf("Whether volumes live as long as a claim, or as their pod.", Str("One of them."),
                                    list_type="set", default=["Persistent"])  # fmt: skip


class CSIDriver(ApiObject):
    """Tells the cluster of a CSI driver."""

    openapi_prefix = StorageSchema.openapi_prefix

    spec = Nested("How to deal with the driver.", CSIDriverSpec, required=True)


def _flag(obj: Obj, field: str, *, default: bool = False) -> bool:
    value = (obj.get("spec") or {}).get(field)
    return default if value is None else bool(value)


def _tokens(obj: Obj, _now: datetime) -> str:
    requests = (obj.get("spec") or {}).get("tokenRequests")
    return ",".join(request.get("audience") or "" for request in requests) if requests else "<unset>"


def _modes(obj: Obj, _now: datetime) -> str:
    return ",".join((obj.get("spec") or {}).get("volumeLifecycleModes") or ()) or "<none>"


class CSIDriverStrategy(Strategy):
    """Behaviour of CSI drivers."""

    columns = (
        Column("AttachRequired", lambda obj, _now: _flag(obj, "attachRequired", default=True), type="boolean",
               description="Whether volumes are attached to nodes."),
        Column("PodInfoOnMount", lambda obj, _now: _flag(obj, "podInfoOnMount"), type="boolean",
               description="Whether the driver is told of pods."),
        Column("StorageCapacity", lambda obj, _now: _flag(obj, "storageCapacity"), type="boolean",
               description="Whether the scheduler heeds what storage is left."),
        Column("TokenRequests", _tokens, description="Audiences of the tokens that the driver gets."),
        Column("RequiresRepublish", lambda obj, _now: _flag(obj, "requiresRepublish"), type="boolean",
               description="Whether the driver is called again."),
        Column("Modes", _modes, description="How long volumes live."),
        AGE,
    )  # fmt: skip

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the name, which is the driver's, the lifetimes and the tokens."""
        spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
        found = validate_driver_name(name, "metadata.name") if name else []
        modes = spec.get("volumeLifecycleModes") or []
        found += [not_supported("spec.volumeLifecycleModes", mode, LIFECYCLES) for mode in modes
                  if mode not in LIFECYCLES]  # fmt: skip
        audiences: set[str] = set()
        for index, request in enumerate(spec.get("tokenRequests") or []):
            path, audience = f"spec.tokenRequests[{index}]", request.get("audience") or ""
            if audience in audiences:
                found.append(duplicate(f"{path}.audience", audience))
            audiences.add(audience)
            found += _validate_expiration(request.get("expirationSeconds"), f"{path}.expirationSeconds")
        if spec.get("attachRequired") is None:
            found.append(required("spec.attachedRequired"))
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep how volumes are attached and how long they live."""
        after, before = new.get("spec") or {}, old.get("spec") or {}
        return [
            *immutable("spec.attachedRequired", after.get("attachRequired"), before.get("attachRequired")),
            *immutable("spec.volumeLifecycleModes", after.get("volumeLifecycleModes"),
                       before.get("volumeLifecycleModes")),
        ]  # fmt: skip


def _validate_expiration(seconds: int | None, path: str) -> list[FieldError]:
    if seconds is None:
        return []
    if seconds < MIN_TOKEN_SECONDS:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MAX_TOKEN_SECONDS:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="CSIDriver",
        plural="csidrivers",
        singular="csidriver",
        namespaced=False,
        schema=CSIDriver,
        strategy=CSIDriverStrategy(),
    ),
)
