"""Fenced writes: a leader's write commits only while its Lease says that it leads.

The check and the commit are one store transaction: the commit is guarded by the Lease's revision. A renewal moves the
revision without changing the leader, so a failed guard is looked at again before the write is refused. The first look
is the cache's: the guard holds only if that was the Lease's newest state, and whatever fails is looked up in the store.
"""

import re
from collections.abc import Awaitable, Callable

import orjson

from windlass.errors import BadRequestError, ConflictError, GuardError
from windlass.registry.backend import Backend
from windlass.store.interface import Guard

LEASES_PREFIX = "coordination.k8s.io/leases/"
MAX_RENEWALS_MET = 5


def _refuse(why: str) -> ConflictError:
    return ConflictError(f"the write is fenced off: {why}; stop leading and elect anew")


def parse_claim(header: str) -> tuple[str, str, int]:
    """Read the Windlass-Fence header: the Lease's key, holder and term. Raises 400."""
    namespace, _, rest = header.partition("/")
    name, _, rest = rest.partition("/")
    holder, _, transitions = rest.rpartition("/")
    if not (namespace and name and holder and re.fullmatch("[0-9]{1,10}", transitions)):
        raise BadRequestError("Windlass-Fence must be lease-namespace/lease-name/holderIdentity/leaseTransitions")
    return f"{LEASES_PREFIX}{namespace}/{name}", holder, int(transitions)


class Fence:
    """One leader's claim."""

    def __init__(self, backend: Backend, header: str) -> None:
        self._key, self._holder, self._transitions = parse_claim(header)
        self._store, self._cache = backend.store, backend.cache

    def cached_guard(self) -> Guard | None:
        """Return the guard that follows from the cache; None when the cache knows of no such leader."""
        cached = self._cache.lookup(self._key)
        try:
            return None if cached is None else self._checked(cached.encoded, cached.revision)
        except ConflictError:
            return None

    async def guard(self) -> Guard:
        """Return the guard for one commit. Raises ConflictError when the Lease names another leader or term."""
        stored = await self._store.get(self._key)
        if stored is None:
            raise _refuse("the Lease does not exist")
        return self._checked(stored.value, stored.revision)

    def _checked(self, lease: bytes, revision: int) -> Guard:
        spec = orjson.loads(lease).get("spec", {})
        if spec.get("holderIdentity") != self._holder:
            raise _refuse(f"the Lease is held by {spec.get('holderIdentity') or 'nobody'}")
        if int(spec.get("leaseTransitions") or 0) != self._transitions:
            raise _refuse(f"the Lease is in term {spec.get('leaseTransitions')}")
        return Guard(self._key, revision)


async def fenced(backend: Backend, header: str, commit: Callable[[Guard | None], Awaitable[int]]) -> int:
    """Run a commit under the fence of `header` ('' for none). Raises ConflictError when the leader has changed."""
    if not header:
        return await commit(None)
    fence = Fence(backend, header)
    cached = fence.cached_guard()
    for _ in range(MAX_RENEWALS_MET):
        guard, cached = cached or await fence.guard(), None
        try:
            return await commit(guard)
        except GuardError:
            continue
    raise _refuse("the Lease keeps changing")
