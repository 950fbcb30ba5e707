"""What every registry of a process shares: store, cache, scheme, clock, admission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windlass.apimachinery.scheme import KindDefinition, Scheme
from windlass.clock import Clock
from windlass.plugin.guarding import GuardedAdmission
from windlass.plugin.interfaces.admission import AdmissionPlugin
from windlass.plugin.interfaces.authn import ObjectReader
from windlass.registry.quota_turns import QuotaLedger
from windlass.store.interface import Store

if TYPE_CHECKING:
    from windlass.store.watchcache import WatchCache


class CacheReader:
    """Synchronous reads of the caches, for authorisers and admission."""

    def __init__(self, cache: "WatchCache", scheme: Scheme) -> None:
        self._cache = cache
        self._kinds: dict[str, KindDefinition] = {}
        for kind in scheme:
            self._kinds.setdefault(kind.resource.qualified, kind)

    def get(self, resource: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return the newest cached object, or None (also for a resource that nobody serves)."""
        kind = self._kinds.get(resource)
        cached = self._cache.kind_cache(kind).get(namespace, name) if kind else None
        return cached.bare if cached else None

    def list(self, resource: str, namespace: str = "") -> Sequence[Mapping[str, Any]]:
        """Return cached objects; '' means all namespaces."""
        kind = self._kinds.get(resource)
        if kind is None:
            return ()
        return [cached.bare for cached in self._cache.kind_cache(kind).select(namespace)[0]]


@dataclass(frozen=True, slots=True)
class Backend:
    """Shared parts. `reader` reads `cache`. `service_cidrs`: where Services' addresses come from; empty gives none out."""

    store: Store
    cache: "WatchCache"
    scheme: Scheme
    clock: Clock
    admission: Sequence[AdmissionPlugin | GuardedAdmission]
    reader: ObjectReader
    barrier_timeout_seconds: float = 10.0
    service_cidrs: Sequence[str] = ()
    quotas: QuotaLedger = field(default_factory=QuotaLedger)
