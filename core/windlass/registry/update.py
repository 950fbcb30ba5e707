"""Update and patch: a transformation of the current object, admitted, validated and committed if it is still current."""

from collections.abc import Callable

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.errors import FieldError
from windlass.registry.admit import Target, admission_request, admit, validate
from windlass.registry.backend import Backend
from windlass.registry.commit import commit_delete, commit_update
from windlass.registry.create import create
from windlass.registry.current import Current, StaleError, attempt, load
from windlass.registry.decoding import decode_body, redecode
from windlass.registry.managedfields import Recorder, split_managers, update_recorder
from windlass.registry.namespaces import holds_content
from windlass.registry.objectmeta import carry_over, place, validate_metadata_update
from windlass.registry.options import Body, RequestContext, Written
from windlass.registry.quota_charging import charged
from windlass.registry.refusals import conflict, invalid
from windlass.registry.service_allocation import allocated

Transform = Callable[[Obj], tuple[Obj, list[FieldError]]]
"""From a private copy of the current object to the proposed one, with what its fields have wrong. May run again."""


async def update(backend: Backend, context: RequestContext, target: Target, body: Body) -> Written:
    """Replace an object, or its status; create a missing one where the kind allows it."""
    said, sent = split_managers(body)
    proposed, errors = decode_body(target.kind, said, context)
    place(target.kind, proposed, target.namespace, target.name)
    creates = target.kind.strategy.allow_create_on_update and not target.subresource
    if creates and await load(backend, target, fresh=False) is None:
        return await create(backend, context, target, body)

    def replace(_old: Obj) -> tuple[Obj, list[FieldError]]:
        new = deep_copy_json(proposed)
        if sent is not None:
            new["metadata"]["managedFields"] = sent
        return new, list(errors)

    return await modify(backend, context, target, replace)


async def modify(
    backend: Backend,
    context: RequestContext,
    target: Target,
    transform: Transform,
    *,
    recorder: Recorder | None = None,
    with_managers: bool = False,
) -> Written:
    """Apply a transformation to the newest object. A resourceVersion in its result must be the current one (409).

    `recorder` says who owns what then; without one the writer owns what it changes. The transformation sees the managed
    fields only `with_managers`.
    """
    record = recorder or update_recorder(backend, context, target)

    async def step(current: Current) -> Written:
        new, errors = transform(_copy(current, with_managers=with_managers))
        version = new["metadata"].get("resourceVersion")
        if version and version != str(current.revision):
            raise conflict(target.kind, target.name)
        prepared = await _prepare(backend, context, target, (new, errors), current, record=record)
        return await _commit(backend, context, target, prepared, current)

    return await attempt(backend, target, step)


def _copy(current: Current, *, with_managers: bool) -> Obj:
    obj: Obj = deep_copy_json(current.obj)
    if with_managers and current.managed:
        obj["metadata"]["managedFields"] = orjson.loads(current.managed)
    return obj


async def _prepare(
    backend: Backend,
    context: RequestContext,
    target: Target,
    proposed: tuple[Obj, list[FieldError]],
    current: Current,
    *,
    record: Recorder,
) -> tuple[Obj, bytes]:
    """Carry over, default, record the owners, admit, validate. Raises InvalidError listing everything wrong."""
    (new, errors), old = proposed, current.obj
    sent = new["metadata"].pop("managedFields", None)
    kind, strategy = target.kind, target.kind.strategy.of_subresource(target.subresource)
    place(kind, new, target.namespace, target.name)
    carry_over(kind, new, old)
    if errors:
        raise invalid(kind, target.name, errors)
    if target.subresource == "status":
        new = _status_only(new, old)
    elif not target.subresource or strategy is not kind.strategy:
        strategy.prepare_for_update(new, old)
    strategy.default(new)
    managed = record(new, current, sent)
    request = admission_request(backend, context, target, obj=new, old=old)
    if await admit(backend, request):
        new, errors = redecode(kind, new)
        if not errors:
            strategy.default(new)
        request.obj = new
    causes = [*errors, *validate_metadata_update(new, old)]
    if not errors:
        status_alone = target.subresource == "status" and new.get("spec") == old.get("spec")
        causes += strategy.validate_status(new) if status_alone else strategy.validate(new)
        causes += strategy.validate_update(new, old)
    if causes:
        raise invalid(kind, target.name, causes)
    if strategy.has_generation and new.get("spec") != old.get("spec"):
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1
    if not target.subresource:
        context.warnings += strategy.warnings(new)
    await validate(backend, request)
    return new, managed


def _status_only(new: Obj, old: Obj) -> Obj:
    """Take the status and the annotations from `new`; everything else is not this endpoint's to change."""
    metadata = dict(old["metadata"])
    if "annotations" in new["metadata"]:
        metadata["annotations"] = new["metadata"]["annotations"]
    merged = {**deep_copy_json(old), "metadata": metadata}
    if "status" in new:
        merged["status"] = new["status"]
    else:
        merged.pop("status", None)
    return merged


async def _commit(
    backend: Backend, context: RequestContext, target: Target, prepared: tuple[Obj, bytes], current: Current
) -> Written:
    kind, (new, managed) = target.kind, prepared
    if is_ready_to_go(kind, new):
        async with allocated(backend, context, kind, None, current.obj):
            await commit_delete(backend, context, kind, new, current.revision)
        return Written(envelope.shown(new, managed), gone=True)
    if managed == current.managed and new == current.obj:
        if not current.fresh:
            raise StaleError("nothing would change, says the cache")
        return Written(envelope.shown(new, managed))
    async with charged(backend, context, target, new, current.obj), allocated(backend, context, kind, new, current.obj):
        return Written(await commit_update(backend, context, kind, new, current.revision, managed=managed))


def is_ready_to_go(kind: KindDefinition, obj: Obj) -> bool:
    """Whether a deletion waits for nothing more: no grace period, no finalizers, no content."""
    metadata = obj["metadata"]
    return (
        bool(metadata.get("deletionTimestamp"))
        and not metadata.get("deletionGracePeriodSeconds")
        and not metadata.get("finalizers")
        and not holds_content(kind, obj)
    )
