"""The `scale` subresource: an autoscaling/v1 Scale as a view of two fields of an object."""

from typing import Any

from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.apimachinery.selectors import format_label_selector
from windlass.apis.autoscaling.v1 import Scale
from windlass.errors import FieldError, MethodNotAllowedError
from windlass.registry.admit import Target
from windlass.registry.applying import apply_config
from windlass.registry.backend import Backend
from windlass.registry.decoding import decode_plain
from windlass.registry.options import Body, Patch, RequestContext, Written
from windlass.registry.patching import APPLY_PATCH, apply_patch, check_patch_type
from windlass.registry.refusals import invalid
from windlass.registry.update import modify

MAX_REPLICAS = 2**31 - 1


def _paths(kind: KindDefinition) -> Any:
    paths = getattr(kind.strategy, "scale", None)
    if paths is None:
        raise MethodNotAllowedError(f"{kind.resource.qualified} cannot be scaled")
    return paths


def _value(obj: Obj, path: str) -> Any:
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def scale_of(kind: KindDefinition, obj: Obj) -> Obj:
    """Return the Scale that an object shows."""
    paths, metadata = _paths(kind), obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": _value(obj, paths.spec_replicas) or 0},
        "status": {
            "replicas": _value(obj, paths.status_replicas) or 0,
            "selector": format_label_selector(_value(obj, paths.selector)),
        },
    }


async def update_scale(backend: Backend, context: RequestContext, target: Target, body: Body) -> Written:
    """Set the replicas from a Scale."""
    proposed = decode_plain(Scale, body.value, "Scale")
    return await modify(backend, context, target, lambda old: (_scaled(target, old, proposed), []))


async def patch_scale(backend: Backend, context: RequestContext, target: Target, patch: Patch) -> Written:
    """Patch the Scale that an object shows."""
    check_patch_type(patch.media_type)
    if patch.media_type == APPLY_PATCH:
        return await _apply_scale(backend, context, target, patch)

    def transform(old: Obj) -> tuple[Obj, list[FieldError]]:
        patched = apply_patch(Scale, scale_of(target.kind, old), patch)
        return _scaled(target, old, decode_plain(Scale, patched, "Scale")), []

    return await modify(backend, context, target, transform)


async def _apply_scale(backend: Backend, context: RequestContext, target: Target, patch: Patch) -> Written:
    """Apply a Scale: the replicas of the object become the applier's, through the subresource."""
    scale = decode_plain(Scale, patch.body.value, "Scale")
    config: Obj = {"metadata": {}}
    if (patch.body.value.get("spec") or {}).get("replicas") is not None:
        config = _scaled(target, config, {"spec": scale["spec"]})
    config["metadata"] = {
        key: value for key, value in (scale.get("metadata") or {}).items() if key in ("name", "uid", "resourceVersion")
    }
    return await apply_config(backend, context, target, config)


def _scaled(target: Target, old: Obj, scale: Obj) -> Obj:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not 0 <= replicas <= MAX_REPLICAS:
        raise invalid(target.kind, target.name, [
            FieldError("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
        ])
    metadata = scale.get("metadata") or {}
    said = {key: metadata[key] for key in ("resourceVersion", "uid") if metadata.get(key)}
    new = {**old, "metadata": {**old["metadata"], **said}}
    holder: Obj = new
    *parents, last = _paths(target.kind).spec_replicas.strip(".").split(".")
    for part in parents:
        inner = dict(holder.get(part) or {})
        holder[part] = inner
        holder = inner
    holder[last] = replicas
    return new
