"""Run the admission chain: first every plugin may change the object, later every plugin may refuse it."""

from dataclasses import dataclass

import orjson

from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.plugin.guarding import GuardedAdmission
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.registry.backend import Backend
from windlass.registry.options import RequestContext


@dataclass(frozen=True, slots=True)
class Target:
    """What a write is about."""

    kind: KindDefinition
    namespace: str
    name: str
    subresource: str = ""


def admission_request(
    backend: Backend, context: RequestContext, target: Target, *, obj: Obj | None, old: Obj | None
) -> AdmissionRequest:
    """Describe a write to the plugins; the operation follows from which of the two objects there are."""
    operation = "CREATE" if old is None else "DELETE" if obj is None else "UPDATE"
    return AdmissionRequest(
        operation=operation if target.subresource not in ("binding", "eviction") else "CREATE",
        group=target.kind.group, version=target.kind.version, kind=target.kind.kind, resource=target.kind.plural,
        subresource=target.subresource, namespace=target.namespace, name=target.name, obj=obj, old=old,
        user=context.user, dry_run=context.dry_run, reader=backend.reader, warnings=context.warnings,
    )


async def admit(backend: Backend, request: AdmissionRequest) -> bool:
    """Let every plugin change `request.obj`; return whether it must be checked again.

    What plugins change that keep the schema by their own word is as good as what was checked before.
    """
    doubtful = not all(getattr(plugin, "keeps_schema", False) for plugin in backend.admission)
    before = orjson.dumps(request.obj) if doubtful else b""
    for plugin in backend.admission:
        if isinstance(plugin, GuardedAdmission):
            await plugin.admit(request)
        else:
            plugin.admit(request)
    return doubtful and orjson.dumps(request.obj) != before


async def validate(backend: Backend, request: AdmissionRequest) -> None:
    """Let every plugin refuse by raising."""
    for plugin in backend.admission:
        if isinstance(plugin, GuardedAdmission):
            await plugin.validate(request)
        else:
            plugin.validate(request)
