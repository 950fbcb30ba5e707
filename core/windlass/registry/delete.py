"""Delete: preconditions, grace period, propagation policy, finalizers; the object goes when nothing holds it."""

from collections.abc import Callable
from datetime import timedelta

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.clock import parse_rfc3339, rfc3339
from windlass.errors import BadRequestError, FieldError
from windlass.registry.admit import Target, admission_request, admit, validate
from windlass.registry.backend import Backend
from windlass.registry.commit import commit_delete, commit_update
from windlass.registry.current import Current, StaleError, attempt
from windlass.registry.namespaces import mark_terminating
from windlass.registry.options import DeleteOptions, RequestContext, Written
from windlass.registry.refusals import conflict, invalid
from windlass.registry.service_allocation import allocated
from windlass.registry.update import is_ready_to_go

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
POLICIES = {"Foreground": FOREGROUND, "Orphan": ORPHAN, "Background": "", "": ""}


async def delete(
    backend: Backend,
    context: RequestContext,
    target: Target,
    options: DeleteOptions,
    *,
    mark: Callable[[Obj], None] | None = None,
) -> Written:
    """Delete one object, or mark it deleted. `gone` tells which. `mark` may note on what stays why it goes."""
    check_options(options)

    async def step(current: Current) -> Written:
        check_preconditions(target.kind, current.obj, options)
        request = admission_request(backend, context, target, obj=None, old=current.obj)
        await admit(backend, request)
        await validate(backend, request)
        marked = deep_copy_json(current.obj)
        if mark is not None:
            mark(marked)
        _set_finalizers(marked, options.propagation_policy)
        _set_deletion(backend, target.kind, marked, options.grace_period_seconds)
        return await _commit(backend, context, target.kind, marked, current)

    return await attempt(backend, target, step)


def check_options(options: DeleteOptions) -> None:
    """Refuse options that mean nothing."""
    if options.propagation_policy not in POLICIES:
        raise BadRequestError(
            f'propagationPolicy: Unsupported value: "{options.propagation_policy}": '
            'supported values: "Background", "Foreground", "Orphan"'
        )


def check_preconditions(kind: KindDefinition, obj: Obj, options: DeleteOptions) -> None:
    """Raise 409 when the object is not the one that the caller means."""
    metadata = obj["metadata"]
    if options.uid and options.uid != metadata["uid"]:
        raise conflict(
            kind,
            metadata["name"],
            f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {metadata['uid']}",
        )
    if options.resource_version and options.resource_version != metadata["resourceVersion"]:
        raise conflict(
            kind,
            metadata["name"],
            f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
            f"ResourceVersion in object meta: {metadata['resourceVersion']}",
        )


def _set_finalizers(obj: Obj, policy: str) -> None:
    """Put the finalizer of an explicit policy in place of the other one; no policy leaves them as they are."""
    if not policy:
        return
    metadata = obj["metadata"]
    kept = [name for name in metadata.get("finalizers") or () if name not in (FOREGROUND, ORPHAN)]
    wanted = POLICIES[policy]
    metadata["finalizers"] = [*kept, wanted] if wanted else kept
    if not metadata["finalizers"]:
        del metadata["finalizers"]


def _set_deletion(backend: Backend, kind: KindDefinition, obj: Obj, requested: int | None) -> None:
    """Stamp the deletion, or shorten one that is under way; a grace period never grows."""
    strategy, metadata = kind.strategy, obj["metadata"]
    if requested is not None and requested < 0:
        raise invalid(
            kind,
            metadata["name"],
            [FieldError("gracePeriodSeconds", f"Invalid value: {requested}: must not be negative")],
        )
    graceful = strategy.default_grace_period_seconds is not None
    already = metadata.get("deletionTimestamp")
    if already:
        before = int(metadata.get("deletionGracePeriodSeconds") or 0)
        grace = strategy.grace_period_seconds(obj, requested) if graceful and requested is not None else before
        if grace >= before:
            return
        start = parse_rfc3339(already) - timedelta(seconds=before)
    else:
        grace = strategy.grace_period_seconds(obj, requested) if graceful else 0
        start = backend.clock.now()
        if metadata.get("generation"):
            metadata["generation"] += 1
        mark_terminating(kind, obj)
    metadata["deletionTimestamp"] = rfc3339(start + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace


async def _commit(
    backend: Backend, context: RequestContext, kind: KindDefinition, marked: Obj, current: Current
) -> Written:
    if is_ready_to_go(kind, marked):
        async with allocated(backend, context, kind, None, current.obj):
            await commit_delete(backend, context, kind, marked, current.revision)
        return Written(envelope.shown(current.obj, current.managed), gone=True)
    if marked == current.obj:
        if not current.fresh:
            raise StaleError("nothing would change, says the cache")
        return Written(envelope.shown(current.obj, current.managed))
    return Written(await commit_update(backend, context, kind, marked, current.revision, managed=current.managed))
