"""The API server built from plugins: store, cache and application, and the lifespan that runs them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from windlass.api.app import build_app
from windlass.api.bootstrap import create_system_objects
from windlass.api.config import ApiConfig
from windlass.api.kubernetes_service import KubernetesService, advertised_address
from windlass.api.server import ServerOptions
from windlass.apimachinery.scheme import Scheme
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.clock import Clock
from windlass.errors import StoreUnavailableError
from windlass.logs import get_logger
from windlass.plugin.manager import PluginManager
from windlass.plugin.watchdog import LoopWatchdog
from windlass.registry.backend import Backend, CacheReader
from windlass.registry.service_repair import ServiceRepair
from windlass.store.interface import Store
from windlass.store.watchcache import WatchCache

PATIENCE_SECONDS = 3.0
"""How long a starting server lets its first clients wait for the store."""
RETRY_SECONDS = 0.5
PROCESS = "apiserver"
Upkeep: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
log = get_logger(__name__)


def compose(
    options: ServerOptions, plugins: PluginManager, clock: Clock, *, on_startup: Callable[[], None] = lambda: None
) -> Any:
    """Build store, cache and application from loaded plugins; the application's lifespan runs them.

    `on_startup` is called when the server is about to take requests. Raises ConfigError or PluginError.
    """
    scheme = Scheme(owned.value for owned in plugins.registrations("register_kinds"))
    scheme_name, _, _ = options.store.partition("://")
    store: Store = plugins.driver(
        "register_stores",
        scheme_name,
        {"url": options.store, "data_dir": str(options.data_dir), "workers": options.workers},
    )
    cache = WatchCache(store, scheme, clock)
    pki = options.data_dir / "pki"
    host, _, port = options.bind.rpartition(":")
    identities = {
        "token_file": options.token_file,
        "pki_dir": str(pki),
        "reader": CacheReader(cache, scheme),
        "clock": clock,
    }
    app = build_app(
        scheme=scheme,
        store=store,
        cache=cache,
        authenticators=_built(plugins, "register_authenticators", identities),
        authorizers=_built(plugins, "register_authorizers", {}),
        admission=_built(plugins, "register_admission_plugins", {}),
        clock=clock,
        plugins=plugins.inventory,
        tokens=ServiceAccountTokens(pki, clock),
        config=ApiConfig(
            agent_certificate=str(pki / "apiserver-kubelet-client.crt"),
            agent_key=str(pki / "apiserver-kubelet-client.key"),
            agent_ca=str(pki / "ca.crt"),
            host=host,
            port=int(port),
            service_cidrs=options.service_cidrs,
        ),
    )
    address = options.advertise_address or advertised_address(host)
    backend = Backend(store, cache, scheme, clock, (), CacheReader(cache, scheme), service_cidrs=options.service_cidrs)
    upkeep = (
        (ServiceRepair(backend).run, KubernetesService(backend, address, int(port)).run)
        if options.service_cidrs
        else ()
    )
    app.add_middleware(Lifespan(store, cache, clock, plugins, upkeep=upkeep, on_startup=on_startup))
    return app


def _built(plugins: PluginManager, hook: str, config: Mapping[str, Any]) -> Sequence[Any]:
    """Build every driver of a hook, in the order of registration; one that is not configured is None and left out."""
    built = [owned.value.build({**plugins.section(owned.owner), **config}) for owned in plugins.drivers(hook).values()]
    return [driver for driver in built if driver is not None]


class Lifespan:
    """Runs store and cache as long as the application lives. A store that is away is waited for, not fatal."""

    def __init__(
        self,
        store: Store,
        cache: WatchCache,
        clock: Clock,
        plugins: PluginManager,
        *,
        upkeep: Sequence[Upkeep] = (),
        on_startup: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._plugins = plugins
        self._upkeep = upkeep
        self._on_startup = on_startup
        self._task: asyncio.Task[None] | None = None
        self._watchdog: LoopWatchdog | None = None

    async def process_startup(self, _scope: Mapping[str, Any], _event: Mapping[str, Any]) -> None:
        """Begin, when the server is about to take requests.

        Those that come while the store opens wait a moment rather than be refused and come back a second later; but a
        store that stays away must not keep the server from saying so.
        """
        self._on_startup()
        self._task = asyncio.get_running_loop().create_task(self._run())
        synced = asyncio.ensure_future(self._cache.wait_synced())
        await asyncio.wait((synced,), timeout=PATIENCE_SECONDS)
        synced.cancel()
        self._plugins.notify("on_startup", process=PROCESS)
        self._watchdog = LoopWatchdog(self._plugins.owner_of, partial(self._plugins.note_failure, hangs=True))
        self._watchdog.start()

    async def process_shutdown(self, _scope: Mapping[str, Any], _event: Mapping[str, Any]) -> None:
        """End, when the last request has been answered."""
        if self._watchdog is not None:
            self._watchdog.stop()
        self._plugins.notify("on_shutdown", process=PROCESS)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._store.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._store.start()
                await create_system_objects(self._store, self._clock)
                break
            except StoreUnavailableError as error:
                log.warning("store_not_ready_yet", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
        async with asyncio.TaskGroup() as group:
            for run in self._upkeep:
                group.create_task(run())
            await self._cache.run()
