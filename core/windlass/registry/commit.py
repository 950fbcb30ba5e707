"""The last step of every write: encode, bound, fence, commit. With dryRun the store is only read."""

from typing import Any

import orjson

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.errors import BadRequestError, KeyExistsError, TooLargeError
from windlass.registry.backend import Backend
from windlass.registry.fencing import Fence, fenced
from windlass.registry.options import RequestContext
from windlass.registry.refusals import already_exists
from windlass.store.interface import MAX_VALUE_BYTES

MAX_OBJECT_BYTES = MAX_VALUE_BYTES
"""Bound of one encoded object: what every store takes."""


def encode(kind: KindDefinition, obj: Obj, managed: bytes = b"") -> bytes:
    """Encode an object for the store, without resourceVersion. Raises TooLargeError, BadRequestError."""
    metadata: dict[str, Any] = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    plain = {**obj, "metadata": metadata}
    if kind.to_storage is not None:
        plain = kind.to_storage(plain)
    try:
        encoded = envelope.join(orjson.dumps(envelope.last(plain)), managed)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"the object cannot be encoded as JSON: {error}") from error
    if len(encoded) > MAX_OBJECT_BYTES:
        raise TooLargeError(
            f"{kind.kind} is too large: {len(encoded)} bytes when encoded, the limit is {MAX_OBJECT_BYTES}; split it up"
        )
    return encoded


def with_revision(obj: Obj, revision: int) -> Obj:
    """Return the object with its resourceVersion, which stands beside the other metadata."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}


async def commit_create(
    backend: Backend, context: RequestContext, kind: KindDefinition, obj: Obj, *, managed: bytes
) -> Obj:
    """Commit a new object with its managed fields; return it as clients see it. Raises AlreadyExistsError."""
    name = obj["metadata"]["name"]
    key = kind.key(obj["metadata"].get("namespace"), name)
    encoded = encode(kind, obj, managed)
    if context.dry_run:
        await _check_fence(backend, context)
        if await backend.store.get(key) is not None:
            raise already_exists(kind, name)
        return envelope.shown(obj, managed)
    try:
        revision = await fenced(
            backend, context.fence, lambda guard: backend.store.create(key, encoded, guard=guard)
        )
    except KeyExistsError:
        raise already_exists(kind, name) from None
    return envelope.shown(with_revision(obj, revision), managed)


async def commit_update(
    backend: Backend, context: RequestContext, kind: KindDefinition, obj: Obj, revision: int, *, managed: bytes
) -> Obj:
    """Replace an object that is at `revision`; return it as clients see it. Raises RevisionMismatchError (a dry run, too).

    `managed`: its managed fields from now on.
    """
    key = kind.key(obj["metadata"].get("namespace"), obj["metadata"]["name"])
    encoded = encode(kind, obj, managed)
    if context.dry_run:
        await _check_fence(backend, context)
        return envelope.shown(with_revision(obj, revision), managed)
    new_revision = await fenced(
        backend, context.fence, lambda guard: backend.store.update(key, encoded, revision=revision, guard=guard)
    )
    return envelope.shown(with_revision(obj, new_revision), managed)


async def commit_delete(
    backend: Backend, context: RequestContext, kind: KindDefinition, obj: Obj, revision: int
) -> None:
    """Delete an object that is at `revision`. Raises RevisionMismatchError."""
    key = kind.key(obj["metadata"].get("namespace"), obj["metadata"]["name"])
    if context.dry_run:
        await _check_fence(backend, context)
        return
    await fenced(backend, context.fence, lambda guard: backend.store.delete(key, revision=revision, guard=guard))


async def _check_fence(backend: Backend, context: RequestContext) -> None:
    if context.fence:
        await Fence(backend, context.fence).guard()
