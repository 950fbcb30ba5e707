"""Keeps the use of every ResourceQuota true.

Admission charges what comes; this controller finds what went, what was there before the quota, and what went wrong.
A charge whose object does not show yet counts as well (see `quota_charges`), so it never takes back too much.
"""

from typing import Any

from windlass.apis.core.v1.quota_charges import Pending, pending_charges, recount
from windlass.apis.core.v1.quota_usage import Sort
from windlass.apis.resources import RESOURCEQUOTAS
from windlass.errors import NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key, split_key
from windlass_controllers.resourcequota.monitors import GONE, Monitors

Obj = dict[str, Any]
SOON_SECONDS = 1.0
"""How long charges may gather before they are looked through: each one changes the quota."""
NOT_SYNCED_SECONDS = 0.1
RESYNC_SECONDS = 300.0


class ResourceQuotaController:
    """One key is one quota."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._quotas = context.informers.informer(RESOURCEQUOTAS)
        self._monitors = Monitors(context.client, context.informers, context.clock, self._use_changed)
        self.loop = KeyedLoop("resourcequota", context.clock)
        self.loop.feed(self._quotas, self._keys)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    def _keys(self, quota: Obj) -> list[str]:
        """Look at once at a quota whose bounds are not in force; a mere charge can wait for its neighbours."""
        bounds, enforced = (quota.get("spec") or {}).get("hard") or {}, (quota.get("status") or {}).get("hard")
        if bounds != enforced:
            return own_key(quota)
        for key in own_key(quota):
            self.loop.queue.add_after(key, SOON_SECONDS)
        return []

    def _use_changed(self, namespace: str, what: str) -> None:
        for quota in self._quotas.list(namespace):
            for key in own_key(quota):
                self.loop.queue.add_after(key, 0.0 if what == GONE else SOON_SECONDS)

    async def reconcile(self, key: str) -> float | None:
        """Count what a quota bounds and write what is new; come back while charges are open, and now and then."""
        quota = self._quotas.get(*split_key(key))
        if quota is None:
            return None
        informers = await self._monitors.follow((quota.get("spec") or {}).get("hard") or {})
        if not all(informer.has_synced for informer in informers.values()):
            return NOT_SYNCED_SECONDS
        quota = self._quotas.get(*split_key(key))
        if quota is None:
            return None
        new = self._recount(quota, {sort: self._monitors.usages(quota, sort, one) for sort, one in informers.items()})
        if new.get("status") != quota.get("status") or pending_charges(new) != pending_charges(quota):
            try:
                await self._client.update(RESOURCEQUOTAS, new, subresource="status")
            except NotFoundError:
                return None
        return SOON_SECONDS if pending_charges(new) else RESYNC_SECONDS

    def _recount(self, quota: Obj, usages: dict[Sort, Any]) -> Obj:
        namespace = quota["metadata"]["namespace"]
        seen = {one.sort: self._monitors.seen(namespace, one.sort) for one in pending_charges(quota)}

        def is_settled(charge: Pending) -> bool:
            return self._monitors.is_settled(charge, seen[charge.sort])

        new = recount(quota, usages, is_settled)
        new["metadata"].setdefault("annotations", {})  # a status without any would leave the old ones
        return new
