"""Charges the quotas of a namespace around a commit, so that what its objects use together never passes a bound.

The quota's own object is the ledger: a charge is a write of its status that is conditional on its revision, so of any
number of API servers one at a time charges. Within a server the writes of a namespace queue up instead of colliding.
A commit that fails is refunded. A server killed in between leaves a charge that the quota controller lets expire.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.apis.core.v1.quota_charges import Asked, QuotaRefusalError, charge, refund
from windlass.apis.core.v1.quota_usage import CLAIMS, IGNORED, SERVICES
from windlass.errors import ApiError, RevisionMismatchError, StoreUnavailableError, UnknownOutcomeError
from windlass.logs import get_logger
from windlass.registry.admit import Target
from windlass.registry.backend import Backend
from windlass.registry.commit import commit_update, with_revision
from windlass.registry.current import Current, load
from windlass.registry.options import RequestContext
from windlass.registry.refusals import conflict, forbidden

QUOTAS = "resourcequotas"
GROWING = frozenset({SERVICES, CLAIMS})
"""What an update may make use more."""
MAX_ATTEMPTS = 64
log = get_logger(__name__)


@asynccontextmanager
async def charged(
    backend: Backend, context: RequestContext, target: Target, new: Obj, old: Obj | None
) -> AsyncIterator[None]:
    """Charge `new` to its namespace's quotas around its commit. Raises ForbiddenError for what does not fit.

    A commit with an unknown outcome keeps its charge: the quota controller knows when it sees the object, or never does.
    """
    kind = target.kind
    sort = (kind.group, kind.plural)
    names = _quotas(backend, target) if old is None or sort in GROWING else []
    if not names:
        yield
        return
    asked = Asked(sort, new, old, backend.clock.now())
    charges = _Charges(backend, context, target, asked)
    await charges.make(names)
    try:
        yield
    except UnknownOutcomeError:
        raise
    except BaseException:
        await charges.refund()
        raise


def _quotas(backend: Backend, target: Target) -> list[str]:
    kind = target.kind
    if target.subresource or not kind.namespaced or (kind.group, kind.plural) in IGNORED:
        return []
    return sorted(quota["metadata"]["name"] for quota in backend.reader.list(QUOTAS, target.namespace))


class _Charges:
    """The charges of one write."""

    def __init__(self, backend: Backend, context: RequestContext, target: Target, asked: Asked) -> None:
        self._backend = backend
        self._context = RequestContext(context.user, dry_run=context.dry_run)
        self._target = target
        self._asked = asked
        kind = backend.scheme.by_resource("", "v1", QUOTAS)
        assert kind is not None
        self._kind: KindDefinition = kind
        self._made: list[str] = []

    async def make(self, names: list[str]) -> None:
        """Charge all quotas, or none."""
        async with self._turn():
            try:
                for name in names:
                    self._made.append(name)  # first: whatever becomes of the write, a refund looks for it
                    await self._change(name, self._charged)
            except BaseException:
                await self._take_back()
                raise

    async def refund(self) -> None:
        """Undo what was charged. What cannot be undone now expires by itself."""
        async with self._turn():
            await self._take_back()

    def _turn(self) -> asyncio.Lock:
        return self._backend.quotas.turns.setdefault(self._target.namespace, asyncio.Lock())

    async def _take_back(self) -> None:
        while self._made:
            name = self._made.pop()
            try:
                await self._change(name, lambda quota: refund(quota, self._asked.key))
            except (StoreUnavailableError, UnknownOutcomeError) as error:
                log.warning("quota_not_refunded", quota=name, namespace=self._target.namespace, error=str(error))

    def _charged(self, quota: Obj) -> Obj | None:
        try:
            return charge(quota, self._asked)
        except QuotaRefusalError as error:
            raise forbidden(self._target.kind, self._target.name, str(error)) from None

    async def _change(self, name: str, change: Any) -> None:
        """Write a changed quota if it is still what was looked at; look again otherwise. A refusal is by fresh data."""
        place = Target(self._kind, self._target.namespace, name)
        fresh = False
        for _ in range(MAX_ATTEMPTS):
            current = await self._look(place, fresh=fresh)
            if current is None:
                return
            try:
                new = change(current.obj)
                if new is None:
                    return
                written = await commit_update(
                    self._backend, self._context, self._kind, new, current.revision, managed=current.managed
                )
            except RevisionMismatchError:
                fresh = True
                continue
            except ApiError:
                if current.fresh:
                    raise
                fresh = True
                continue
            if not self._context.dry_run:
                revision = int(written["metadata"]["resourceVersion"])
                plain = with_revision(new, revision)
                self._backend.quotas.written[place.namespace, place.name] = (plain, revision, current.managed)
            return
        raise conflict(self._kind, name)

    async def _look(self, place: Target, *, fresh: bool) -> Current | None:
        """Return the quota as this server wrote it last, unless the cache has a newer one."""
        current = await load(self._backend, place, fresh=fresh)
        known = self._backend.quotas.written.get((place.namespace, place.name))
        if known is None or fresh:
            return current
        if current is None or current.revision >= known[1]:
            del self._backend.quotas.written[place.namespace, place.name]
            return current
        return Current(known[0], known[1], False, known[2])
