"""Leader election on a Lease, with a fence for what the leader writes.

Who holds the Lease leads. A holder that does not renew for `lease_seconds`, by the *watcher's* clock, is replaced, and
`leaseTransitions` grows: it is the number of the term. The leader stops before that: when it could not renew for
`renew_deadline_seconds` its work is cancelled. Should it be late all the same (a stopped process, a blocked loop), the
API server refuses its writes by the fence (see `windlass.client.client.Fence`).
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client, Fence
from windlass.client.deadline import within
from windlass.clock import Clock, rfc3339_micro
from windlass.errors import AlreadyExistsError, ConflictError, NotFoundError, WindlassError
from windlass.logs import get_logger

Obj = dict[str, Any]
LEASES = Resource("coordination.k8s.io", "v1", "leases")
TICK_SECONDS = 0.001
"""Less than this is no time: a wait for a rounding error would be repeated forever."""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ElectionTiming:
    """How long a Lease holds, when its holder gives up, and how often everybody tries."""

    lease_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0

    @classmethod
    def of_lease(cls, seconds: float) -> "ElectionTiming":
        """Return the timing for a Lease of that length, in the usual proportions."""
        return cls(seconds, seconds * 2 / 3, seconds * 2 / 15)

    def __post_init__(self) -> None:
        if not self.retry_seconds < self.renew_deadline_seconds < self.lease_seconds:
            raise ValueError("want retry_seconds < renew_deadline_seconds < lease_seconds")


class LeaderElector:
    """One candidate. `identity` must be unique to this process."""

    def __init__(
        self,
        client: Client,
        lease_namespace: str,
        lease_name: str,
        identity: str,
        clock: Clock,
        *,
        timing: ElectionTiming | None = None,
    ) -> None:
        timing = timing or ElectionTiming()
        self._client = client
        self._namespace, self._name, self.identity = lease_namespace, lease_name, identity
        self._clock = clock
        self._lease_seconds = timing.lease_seconds
        self._deadline = timing.renew_deadline_seconds
        self._retry = timing.retry_seconds
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0
        self._lease: Obj | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this candidate leads, as far as it knows."""
        return self._lease is not None

    async def run(self, on_started_leading: Callable[[Client], Awaitable[None]]) -> None:
        """Wait for the Lease, then run the work with a fenced client; return when either ends.

        Cancels the work at once when the Lease is lost. On the way out a Lease that is still ours is given back.
        Raises what the work raises.
        """
        self._lease = await self._acquire()
        fence = Fence(self._namespace, self._name, self.identity, self._lease["spec"]["leaseTransitions"])
        log.info("leading", lease=self._name, identity=self.identity, term=fence.lease_transitions)
        loop = asyncio.get_running_loop()
        work = loop.create_task(_await(on_started_leading(self._client.fenced(fence))))
        renewal = loop.create_task(self._renew_until_lost())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            held = not renewal.done()
            work.cancel()
            renewal.cancel()
            await asyncio.wait({work, renewal})
            if held:
                await self._release()
            self._lease = None
            log.info("leading_ended", lease=self._name, identity=self.identity, term=fence.lease_transitions)
        if not work.cancelled():
            work.result()

    # -- becoming the leader

    async def _acquire(self) -> Obj:
        while True:
            try:
                lease = await within(self._clock, self._deadline, self._try_acquire())
                if lease is not None:
                    return lease
            except (WindlassError, OSError, TimeoutError) as error:
                log.warning("lease_not_acquired", lease=self._name, error=repr(error))
            await self._clock.sleep(self._retry * random.uniform(1.0, 1.2))  # noqa: S311 - jitter

    async def _try_acquire(self) -> Obj | None:
        """Take the Lease if nobody holds it; None when somebody does or was quicker."""
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFoundError:
            return await self._create()
        spec = lease.get("spec") or {}
        if not self._is_free(spec):
            return None
        now = rfc3339_micro(self._clock.now())
        taken = {
            **spec, **self._claim(), "acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1
        }
        try:
            return await self._client.update(LEASES, {**lease, "spec": taken})
        except (ConflictError, NotFoundError):
            return None

    async def _create(self) -> Obj | None:
        now = rfc3339_micro(self._clock.now())
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**self._claim(), "acquireTime": now, "leaseTransitions": 0},
        }
        try:
            return await self._client.create(LEASES, lease, self._namespace)
        except AlreadyExistsError:
            return None

    def _is_free(self, spec: Mapping[str, Any]) -> bool:
        """Say whether the Lease may be taken: given back, or not renewed while we watched for its whole duration."""
        holder = spec.get("holderIdentity")
        if not holder:
            return True
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        now = self._clock.monotonic()
        if record != self._seen:
            self._seen, self._seen_at = record, now
            return False
        return now - self._seen_at >= float(spec.get("leaseDurationSeconds") or self._lease_seconds)

    def _claim(self) -> Obj:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": math.ceil(self._lease_seconds),
            "renewTime": rfc3339_micro(self._clock.now()),
        }

    # -- staying the leader

    async def _renew_until_lost(self) -> None:
        renewed_at = self._clock.monotonic()
        while True:
            left = self._deadline - (self._clock.monotonic() - renewed_at)
            if left <= TICK_SECONDS:
                log.error("lease_lost", lease=self._name, why="not renewed in time")
                return
            await self._clock.sleep(min(self._retry, left))
            left = self._deadline - (self._clock.monotonic() - renewed_at)
            started = self._clock.monotonic()
            try:
                if left > 0 and not await within(self._clock, left, self._renew()):
                    log.error("lease_lost", lease=self._name, why="taken by another")
                    return
            except (WindlassError, OSError, TimeoutError) as error:
                log.warning("lease_not_renewed", lease=self._name, error=repr(error))
                continue
            if left > 0:
                renewed_at = started

    async def _renew(self) -> bool:
        """Renew once. False when the Lease is no longer ours."""
        assert self._lease is not None
        renewed = {**self._lease, "spec": {**self._lease["spec"], **self._claim()}}
        try:
            self._lease = await self._client.update(LEASES, renewed)
        except NotFoundError:
            return False
        except ConflictError:
            # Ours with an answer lost on the way, or somebody labelled it, or it has been taken.
            current = await self._client.get(LEASES, self._name, self._namespace)
            if not self._is_ours(current):
                return False
            self._lease = current
            raise
        return True

    def _is_ours(self, lease: Mapping[str, Any]) -> bool:
        assert self._lease is not None
        spec, ours = lease.get("spec") or {}, self._lease["spec"]
        return all(spec.get(key) == ours.get(key) for key in ("holderIdentity", "leaseTransitions"))

    async def _release(self) -> None:
        """Give the Lease back, so that the next leader need not wait. Best effort: it would run out anyway."""
        assert self._lease is not None
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1,
                "renewTime": rfc3339_micro(self._clock.now())}
        try:
            await within(self._clock, self._retry, self._client.update(LEASES, {**self._lease, "spec": spec}))
        except (WindlassError, OSError, TimeoutError) as error:
            log.warning("lease_not_released", lease=self._name, error=repr(error))


async def _await(work: Awaitable[None]) -> None:
    await work
