"""Create: decode, fill, default, admit, validate, commit."""

from windlass.apimachinery.scheme import Obj
from windlass.errors import AlreadyExistsError, FieldError
from windlass.registry.admit import Target, admission_request, admit, validate
from windlass.registry.backend import Backend
from windlass.registry.commit import commit_create
from windlass.registry.decoding import decode_body, redecode
from windlass.registry.managedfields import Recorder, update_recorder
from windlass.registry.objectmeta import fill_for_create, generate_name, place, validate_metadata
from windlass.registry.options import Body, RequestContext, Written
from windlass.registry.quota_charging import charged
from windlass.registry.refusals import invalid
from windlass.registry.service_allocation import allocated

MAX_GENERATED_NAMES = 8


async def create(
    backend: Backend, context: RequestContext, target: Target, body: Body, *, recorder: Recorder | None = None
) -> Written:
    """Create one object. `target.name` is '' unless the path names the object (update or apply that creates).

    `recorder` says who owns what; without one the writer owns all that it sends and what is filled in for it.
    """
    obj, errors = decode_body(target.kind, body, context)
    place(target.kind, obj, target.namespace, target.name)
    generated = "" if obj["metadata"].get("name") else obj["metadata"].get("generateName", "")
    fill_for_create(target.kind, obj, backend.clock)
    if target.kind.namespaced and backend.reader.get("namespaces", "", target.namespace) is None:
        # The namespace may be so new that this process has not heard of it.
        await backend.cache.read_barrier(backend.barrier_timeout_seconds)
    record = recorder or update_recorder(backend, context, target)
    obj, managed = await _prepare(backend, context, target, obj, errors, record=record)
    named = Target(target.kind, target.namespace, obj["metadata"]["name"])
    async with charged(backend, context, named, obj, None), allocated(backend, context, target.kind, obj, None):
        stored = await _commit(backend, context, target, obj, generated, managed=managed)
        return Written(stored, created=True)


async def _commit(
    backend: Backend, context: RequestContext, target: Target, obj: Obj, generated: str, *, managed: bytes
) -> Obj:
    for _ in range(MAX_GENERATED_NAMES - 1 if generated else 0):
        try:
            return await commit_create(backend, context, target.kind, obj, managed=managed)
        except AlreadyExistsError:
            obj["metadata"]["name"] = generate_name(generated)
    return await commit_create(backend, context, target.kind, obj, managed=managed)


async def _prepare(
    backend: Backend,
    context: RequestContext,
    target: Target,
    obj: Obj,
    errors: list[FieldError],
    *,
    record: Recorder,
) -> tuple[Obj, bytes]:
    """Default, record the owners, admit and validate; return what to commit. Raises InvalidError listing everything wrong."""
    kind, strategy = target.kind, target.kind.strategy
    name = obj["metadata"].get("name", "")
    strategy.prepare_for_create(obj)
    if errors:
        # Strategies and plugins may rely on what the schema promises.
        raise invalid(kind, name, [*validate_metadata(obj), *errors])
    strategy.default(obj)
    managed = record(obj, None, obj["metadata"].pop("managedFields", None))
    located = Target(kind, target.namespace, name)
    request = admission_request(backend, context, located, obj=obj, old=None)
    if await admit(backend, request):
        obj, errors = redecode(kind, obj)
        if not errors:
            strategy.default(obj)
        request.obj = obj
    causes = [*validate_metadata(obj), *errors]
    if not errors:
        causes += strategy.validate(obj)
    if causes:
        raise invalid(kind, name, causes)
    context.warnings += strategy.warnings(obj)
    await validate(backend, request)
    return obj, managed
