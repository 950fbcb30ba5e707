"""The `finalize` subresource of namespaces: who has emptied a namespace says so here."""

from windlass.apimachinery.scheme import Obj
from windlass.errors import FieldError
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.decoding import decode_body
from windlass.registry.options import Body, RequestContext, Written
from windlass.registry.update import modify


async def finalize(backend: Backend, context: RequestContext, target: Target, body: Body) -> Written:
    """Replace `spec.finalizers`, and nothing else; the last one gone, the namespace goes if it is being deleted."""
    proposed, _ = decode_body(target.kind, body, context)
    finalizers = list((proposed.get("spec") or {}).get("finalizers") or [])

    def replace(old: Obj) -> tuple[Obj, list[FieldError]]:
        version = (proposed.get("metadata") or {}).get("resourceVersion") or old["metadata"]["resourceVersion"]
        metadata = {**old["metadata"], "resourceVersion": version}
        return {**old, "metadata": metadata, "spec": {**(old.get("spec") or {}), "finalizers": finalizers}}, []

    return await modify(backend, context, Target(target.kind, "", target.name, "finalize"), replace)
