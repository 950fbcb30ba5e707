"""A container's environment and command line: sources, references, `$(VAR)`. Pure; the caller fetches objects first."""

import base64
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apis.core.v1 import downward_values

Obj = dict[str, Any]


class EnvError(Exception):
    """The environment cannot be made: users see CreateContainerConfigError with this message."""


@dataclass(frozen=True, slots=True)
class Source:
    """A ConfigMap or Secret that a container's environment names."""

    kind: str
    name: str
    optional: bool


@dataclass(frozen=True, slots=True)
class EnvContext:
    """What references resolve against. `objects` maps (kind, name) to the object, None when it does not exist."""

    pod: Obj
    objects: Mapping[tuple[str, str], Obj | None] = field(default_factory=dict)
    pod_ips: Sequence[str] = ()
    host_ips: Sequence[str] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)


def sources(container: Obj) -> list[Source]:
    """List the objects that have to be fetched before `build_env`."""
    found: dict[tuple[str, str], bool] = {}
    refs: list[tuple[str, Obj]] = []
    for entry in container.get("envFrom") or ():
        refs += [
            ("ConfigMap", entry[k]) if k == "configMapRef" else ("Secret", entry[k])
            for k in ("configMapRef", "secretRef")
            if entry.get(k)
        ]
    for entry in container.get("env") or ():
        origin = entry.get("valueFrom") or {}
        refs += [
            ("ConfigMap", origin[k]) if k == "configMapKeyRef" else ("Secret", origin[k])
            for k in ("configMapKeyRef", "secretKeyRef")
            if origin.get(k)
        ]
    for kind, ref in refs:
        key = (kind, ref["name"])
        found[key] = found.get(key, True) and bool(ref.get("optional"))
    return [Source(kind, name, optional) for (kind, name), optional in found.items()]


def build_env(container: Obj, context: EnvContext) -> dict[str, str]:
    """Build the environment: `envFrom` in order, then `env`, which may refer to what stands before it.

    The Services' variables are there too, behind everything that the container says itself.
    """
    env: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        env.update(_from_whole(entry, context))
    for entry in container.get("env") or ():
        value = _value_from(entry["valueFrom"], container, context) if entry.get("valueFrom") else None
        if value is None and not entry.get("valueFrom"):
            value = expand(entry.get("value") or "", ChainMap(env, dict(context.services)))
        if value is not None:
            env[entry["name"]] = value
    return {**context.services, **env}


def _data(kind: str, obj: Obj) -> dict[str, str]:
    if kind == "ConfigMap":
        return dict(obj.get("data") or {})
    return {k: base64.b64decode(v).decode("utf-8", "surrogateescape") for k, v in (obj.get("data") or {}).items()}


def _from_whole(entry: Obj, context: EnvContext) -> dict[str, str]:
    kind, ref = (
        ("ConfigMap", entry.get("configMapRef")) if entry.get("configMapRef") else ("Secret", entry.get("secretRef"))
    )
    if not ref:
        return {}
    obj = context.objects.get((kind, ref["name"]))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise EnvError(f'{kind.lower()} "{ref["name"]}" not found')
    prefix = entry.get("prefix") or ""
    return {prefix + key: value for key, value in _data(kind, obj).items()}


def _value_from(origin: Obj, container: Obj, context: EnvContext) -> str | None:
    if origin.get("fieldRef"):
        return _field(origin["fieldRef"]["fieldPath"], context)
    if origin.get("resourceFieldRef"):
        return _resource(origin["resourceFieldRef"], container, context)
    kind = "ConfigMap" if origin.get("configMapKeyRef") else "Secret"
    ref = origin.get("configMapKeyRef") or origin.get("secretKeyRef") or {}
    obj = context.objects.get((kind, ref["name"]))
    if obj is None:
        if ref.get("optional"):
            return None
        raise EnvError(f'{kind.lower()} "{ref["name"]}" not found')
    value = _data(kind, obj).get(ref["key"])
    if value is None and not ref.get("optional"):
        namespace = context.pod["metadata"]["namespace"]
        raise EnvError(f"couldn't find key {ref['key']} in {kind} {namespace}/{ref['name']}")
    return value


def _field(path: str, context: EnvContext) -> str:
    try:
        return downward_values.field_value(path, context.pod, context.pod_ips, context.host_ips)
    except KeyError:
        raise EnvError(f"unsupported fieldPath: {path}") from None


def _resource(ref: Obj, container: Obj, context: EnvContext) -> str:
    try:
        return downward_values.resource_value(ref, context.pod, container, context.allocatable)
    except KeyError as error:
        raise EnvError(f"container {error.args[0]} not found") from None


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; unknown names stay as they are and `$$` gives `$`."""
    out: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0 and dollar + 1 < len(text):
        out.append(text[at:dollar])
        following = text[dollar + 1]
        if following == "$":
            out.append("$")
            at = dollar + 2
        elif following == "(" and (end := text.find(")", dollar)) >= 0:
            name = text[dollar + 2 : end]
            out.append(env.get(name, text[dollar : end + 1]))
            at = end + 1
        else:
            out.append(text[dollar : dollar + 2])
            at = dollar + 2
    out.append(text[at:])
    return "".join(out)
