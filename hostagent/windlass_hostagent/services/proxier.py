"""Keeps the node's proxy at what Services and EndpointSlices say: all at the start, then what changes.

Changes that come close together go in one step. A step that fails is followed by a whole `sync`, with back-off; so is a
`check` that finds somebody else's hand in it. What is not served is an event on its Service, once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from windlass.clock import Clock
from windlass.errors import NetworkDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.proxy import NodeProxyConfig, ProxyDriver, ProxyProblem, ServiceKey, ServiceState

if TYPE_CHECKING:
    from windlass.client.informer import Informer

Obj = dict[str, Any]
SERVICE_LABEL = "kubernetes.io/service-name"
FOREIGN_PROXY_LABEL = "service.kubernetes.io/service-proxy-name"
COALESCE_SECONDS = 0.05
CHECK_SECONDS = 15.0
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
log = get_logger(__name__)


class Recorder(Protocol):
    """What is needed of the event recorder."""

    def event(self, obj: Mapping[str, Any], event_type: str, reason: str, message: str) -> None:
        """Note an event; never blocks."""
        ...


def service_of(piece: Mapping[str, Any]) -> list[str]:
    """Return the key of a slice's Service, as the index has it."""
    meta = piece["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_LABEL)
    return [f"{meta['namespace']}/{name}"] if name else []


class ServiceProxier:
    """The loop. The informers are run by the caller; `configure` gives the node as it is after its network is set up."""

    def __init__(
        self,
        driver: ProxyDriver,
        informers: "tuple[Informer, Informer]",
        configure: Callable[[], NodeProxyConfig],
        *,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._services, self._slices = informers
        self._configure = configure
        self._recorder = recorder
        self._clock = clock
        self._dirty: set[ServiceKey] = set()
        self._wake = asyncio.Event()
        self._told: dict[ServiceKey, set[ProxyProblem]] = {}
        self._failures = 0
        self._counts = {"syncs": 0, "changes": 0, "failures": 0}
        self._slices.add_index("service", service_of)
        self._services.on_event(self._on_service)
        self._slices.on_event(self._on_slice)

    def statistics(self) -> dict[str, int]:
        """Count steps and what waits."""
        return {**self._counts, "waiting": len(self._dirty)}

    def _on_service(self, _event_type: str, old: Obj | None, new: Obj | None) -> None:
        for obj in (old, new):
            if obj is not None:
                self._mark((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def _on_slice(self, _event_type: str, old: Obj | None, new: Obj | None) -> None:
        for obj in (old, new):
            for key in service_of(obj) if obj is not None else ():
                namespace, _, name = key.partition("/")
                self._mark((namespace, name))

    def _mark(self, key: ServiceKey) -> None:
        self._dirty.add(key)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what was applied stays."""
        await self._services.wait_synced()
        await self._slices.wait_synced()
        while True:
            try:
                await self._driver.setup(self._configure())
                await self._sync()
                await self._follow()
            except NetworkDriverError as error:
                await self._back_off(error)

    async def _back_off(self, error: NetworkDriverError) -> None:
        delay = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        self._counts["failures"] += 1
        log.warning("services_not_applied", error=str(error), retry_seconds=delay)
        await self._clock.sleep(delay)

    async def _sync(self) -> None:
        self._dirty.clear()
        states = {
            (one["metadata"]["namespace"], one["metadata"]["name"]): self._state(one)
            for one in self._services.list()
            if _is_ours(one)
        }
        problems = await self._driver.sync(states)
        self._counts["syncs"] += 1
        self._failures = 0
        self._tell(states.keys(), problems)

    async def _follow(self) -> None:
        """Apply changes as they come; look after the driver's work when there are none for a while."""
        checked = self._clock.monotonic()
        while True:
            left = checked + CHECK_SECONDS - self._clock.monotonic()
            if not self._dirty and left > 0:
                await self._wait(left)
            if self._dirty:
                await self._clock.sleep(COALESCE_SECONDS)
                await self._apply()
            if self._clock.monotonic() - checked >= CHECK_SECONDS:
                await self._driver.check()
                checked = self._clock.monotonic()

    async def _wait(self, seconds: float) -> None:
        """Wait for a change, or that long."""
        self._wake.clear()
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            await asyncio.gather(sleeping, waking, return_exceptions=True)

    async def _apply(self) -> None:
        keys, self._dirty = self._dirty, set()
        changes: dict[ServiceKey, ServiceState | None] = {}
        for namespace, name in keys:
            service = self._services.get(namespace, name)
            changes[namespace, name] = self._state(service) if service is not None and _is_ours(service) else None
        problems = await self._driver.apply(changes)
        self._counts["changes"] += len(changes)
        self._tell(changes.keys(), problems)

    def _state(self, service: Obj) -> ServiceState:
        meta = service["metadata"]
        return ServiceState(service, self._slices.by_index("service", f"{meta['namespace']}/{meta['name']}"))

    def _tell(self, looked_at: "Sequence[ServiceKey] | Any", problems: Sequence[ProxyProblem]) -> None:
        """Record what is new among the problems of the Services that were looked at."""
        found: dict[ServiceKey, set[ProxyProblem]] = {}
        for problem in problems:
            found.setdefault(problem.service, set()).add(problem)
        for key in looked_at:
            known = self._told.pop(key, set())
            if key not in found:
                continue
            self._told[key] = found[key]
            service = self._services.get(*key)
            for problem in found[key] - known if service is not None else ():
                self._recorder.event(_reference(service), "Warning", problem.reason, problem.message)


def _is_ours(service: Mapping[str, Any]) -> bool:
    """Whether no other proxy claims the Service by label."""
    return FOREIGN_PROXY_LABEL not in (service["metadata"].get("labels") or {})


def _reference(service: Obj | None) -> Obj:
    meta = (service or {})["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta.get("uid", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
    }
