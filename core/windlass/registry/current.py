"""The object that a write starts from: first as the cache has it, then, when that does not do, as the store has it.

A write that starts from the cache is right all the same: the commit is conditional on the revision. Whatever would
refuse or skip the write on the cache's word (a conflict, a failed check, nothing to change) is tried once more on the
store's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.errors import ApiError, ConflictError, RevisionMismatchError
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.options import Written
from windlass.registry.refusals import conflict, not_found

MAX_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class Current:
    """A private copy of the stored object, its revision, and whether it was just read from the store.

    `managed`: its managed fields, encoded; `obj` is without them.
    """

    obj: Obj
    revision: int
    fresh: bool
    managed: bytes = b""


class StaleError(ConflictError):
    """The cache's word is not enough for this outcome: look at the store."""


async def load(backend: Backend, target: Target, *, fresh: bool) -> Current | None:
    """Return the object, from the cache unless `fresh`; None when the store has none."""
    kind = target.kind
    if not fresh:
        cached = backend.cache.kind_cache(kind).get(target.namespace, target.name)
        if cached is not None:
            obj, managed = envelope.parse(cached.encoded)
            return Current(_present(kind, obj, cached.revision), cached.revision, False, managed)
    stored = await backend.store.get(kind.key(target.namespace, target.name))
    if stored is None:
        return None
    obj, managed = envelope.parse(stored.value)
    return Current(_present(kind, obj, stored.revision), stored.revision, True, managed)


def _present(kind: KindDefinition, obj: Obj, revision: int) -> Obj:
    obj["metadata"]["resourceVersion"] = str(revision)
    return kind.from_storage(obj) if kind.from_storage is not None else obj


async def attempt(backend: Backend, target: Target, step: Callable[[Current], Awaitable[Written]]) -> Written:
    """Run `step` on the current object until it commits or is refused on fresh data. Raises NotFoundError."""
    fresh = False
    for _ in range(MAX_ATTEMPTS):
        current = await load(backend, target, fresh=fresh)
        if current is None:
            raise not_found(target.kind, target.name)
        try:
            return await step(current)
        except RevisionMismatchError:
            fresh = True
        except ApiError:
            if current.fresh:
                raise
            fresh = True
    raise conflict(target.kind, target.name)
