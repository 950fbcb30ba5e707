"""Server-side apply: PATCH with `application/apply-patch+yaml`, on objects, their status and their scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.apply.applying import Applied, Conflict, ConflictsError, apply, conflict_message, created
from windlass.apimachinery.apply.fieldset import paths, recursive_difference
from windlass.apimachinery.apply.managers import APPLY, Writer
from windlass.apimachinery.apply.shapes import FieldsShape, compare, duplicates
from windlass.apimachinery.decode import decode
from windlass.apimachinery.scheme import Obj
from windlass.clock import rfc3339
from windlass.errors import AlreadyExistsError, BadRequestError, ConflictError, ErrorDetails, FieldError, NotFoundError
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.create import create
from windlass.registry.current import Current, load
from windlass.registry.decoding import check_kind, refuse_wrong_types, report_unknown
from windlass.registry.managedfields import shape_for
from windlass.registry.objectmeta import place
from windlass.registry.options import Body, Patch, RequestContext, Written
from windlass.registry.refusals import conflict, not_found
from windlass.registry.update import modify

CONFLICT_CAUSE = "FieldManagerConflict"
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_LAST_APPLIED = 256 * 1024
ATTEMPTS = 8


async def apply_patch(backend: Backend, context: RequestContext, target: Target, patch: Patch) -> Written:
    """Apply an object, or its status; create what is not there."""
    config = read_config(context, target, patch.body)
    for _ in range(ATTEMPTS):
        current = await load(backend, target, fresh=False)
        try:
            if current is not None:
                return await apply_config(backend, context, target, config)
            return await _create(backend, context, target, config)
        except AlreadyExistsError:
            continue  # it has come meanwhile
        except NotFoundError:
            if current is None:
                raise
    raise conflict(target.kind, target.name)


async def apply_config(backend: Backend, context: RequestContext, target: Target, config: Obj) -> Written:
    """Apply to an object that is there."""
    step = _Step(backend, context, target, config)
    return await modify(backend, context, target, step.transform, recorder=step.record, with_managers=True)


async def _create(backend: Backend, context: RequestContext, target: Target, config: Obj) -> Written:
    if target.subresource:
        raise not_found(target.kind, target.name)
    if context.authorize_create is not None:
        context.authorize_create()
    uid = config["metadata"].get("uid")
    if uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(target.kind, target.name, why)
    if config["metadata"].get("resourceVersion"):
        raise conflict(target.kind, target.name)
    step = _Step(backend, context, target, config)
    return await create(backend, context, target, Body(config), recorder=step.record_created)


class _Step:
    """One apply: the transformation of the object, and the record of its owners that comes with it."""

    def __init__(self, backend: Backend, context: RequestContext, target: Target, config: Obj) -> None:
        self._context = context
        self._target = target
        self._config = config
        self._shape = shape_for(target.kind, target.subresource)
        self._now = rfc3339(backend.clock.now())
        self._writer = Writer(context.manager, APPLY, target.kind.api_version, target.subresource)

    def record_created(self, _new: Obj, _current: Current | None, _sent: Any) -> bytes:
        """Return the owners of the new object."""
        return envelope.dump(created(self._shape, self._config, self._writer, self._now))

    def transform(self, old: Obj) -> tuple[Obj, list[FieldError]]:
        """Return the object with the configuration laid over it, and the owners in its managed fields."""
        entries = old["metadata"].pop("managedFields", [])
        applied = self._applied(old, entries)
        new = self._finished(old, applied.obj)
        decoded = decode(self._target.kind.schema, new)
        refuse_wrong_types(self._target.kind, decoded.errors)
        decoded.obj["metadata"]["managedFields"] = applied.entries
        return decoded.obj, list(decoded.errors)

    def record(self, _new: Obj, _current: Current | None, sent: Any) -> bytes:
        """Return the owners that the transformation has found."""
        return envelope.dump(sent)

    def _applied(self, old: Obj, entries: list[dict[str, Any]]) -> Applied:
        def attempt(*, force: bool) -> Applied:
            return apply(
                self._shape, old, self._config, entries=entries, writer=self._writer, now=self._now, force=force
            )

        try:
            return attempt(force=self._context.force)
        except ConflictsError as error:
            left = [found for found in error.conflicts if found.path not in self._allowed(old)]
            if left:
                raise refusal(left) from None
            return attempt(force=True)

    def _allowed(self, old: Obj) -> set[str]:
        """Return what kubectl may take: fields that its client-side apply has set and nobody changed since."""
        text = (old["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        if not text or self._context.manager != KUBECTL:
            return set()
        try:
            last = decode(self._target.kind.schema, orjson.loads(text)).obj
        except (ValueError, TypeError, AttributeError):
            return set()
        return set(paths(unchanged(self._shape, last, old)))

    def _finished(self, old: Obj, merged: Obj) -> Obj:
        """Carry what guards the write, and what `kubectl apply view-last-applied` reads."""
        given, metadata = self._config["metadata"], dict(merged["metadata"])
        metadata |= {key: given[key] for key in ("uid", "resourceVersion") if given.get(key)}
        annotations = metadata.get("annotations") or {}
        if self._context.manager == KUBECTL and LAST_APPLIED in (old["metadata"].get("annotations") or {}):
            metadata["annotations"] = {**annotations, **last_applied(self._config)}
        return {**merged, "metadata": metadata}


def unchanged(shape: FieldsShape, last: Obj, live: Obj) -> dict[str, Any]:
    """Return the fields of `last` that are the same in the live object."""
    fields = shape.extract(last, added=True) or {}
    differs = compare(shape, last, live)
    for different in (differs.changed, differs.removed):
        fields = recursive_difference(fields, different or {})
    return fields


def last_applied(config: Obj) -> dict[str, str]:
    """Return the annotation in which kubectl keeps what was applied last; none when that is too long for one."""
    metadata = dict(config["metadata"])
    others = {key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != LAST_APPLIED}
    text = orjson.dumps({**config, "metadata": {"annotations": others, **metadata}}).decode() + "\n"
    return {LAST_APPLIED: text} if len(text) <= MAX_LAST_APPLIED else {}


def refusal(conflicts: Sequence[Conflict]) -> ConflictError:
    """Refuse an apply that would take fields from others, as kubectl expects it."""
    causes = tuple(FieldError(found.path, f"conflict with {found.text}", CONFLICT_CAUSE) for found in conflicts)
    return ConflictError(conflict_message(conflicts), details=ErrorDetails(causes=causes))


def read_config(context: RequestContext, target: Target, body: Body) -> Obj:
    """Return what was applied: checked, in canonical form, and nothing filled in. Raises 400 for what no schema declares."""
    kind = target.kind
    said = check_kind(kind, body.value)
    if (said.get("metadata") or {}).get("managedFields") is not None:
        raise BadRequestError("metadata.managedFields must be nil")
    decoded = decode(kind.schema, said)
    report_unknown(kind, [], list(body.duplicates), context)
    refuse_wrong_types(kind, decoded.errors)
    wrong = [f".{path}: field not declared in schema" for path in decoded.unknown]
    config: Obj = given(decoded.obj, said)
    wrong += [f"{path}: duplicate entries for key {key}" for path, key in duplicates(shape_for(kind), config)]
    if wrong:
        listed = wrong[0] if len(wrong) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in wrong)
        where = f"{target.namespace}/{target.name}; {kind.api_version}, Kind={kind.kind}"
        raise BadRequestError(f"failed to create typed patch object ({where}): {listed}")
    place(kind, config, target.namespace, target.name)
    return config


def given(decoded: Any, raw: Any) -> Any:
    """Return a decoded value without what the decoder filled in."""
    if isinstance(decoded, Mapping) and isinstance(raw, Mapping):
        return {key: given(decoded[key], value) for key, value in raw.items() if key in decoded}
    if isinstance(decoded, list) and isinstance(raw, list) and len(decoded) == len(raw):
        return [given(item, said) for item, said in zip(decoded, raw, strict=True)]
    return decoded
