"""`windlass apiserver`: the application under gunicorn, in as many workers as wanted."""

import asyncio
import ctypes
import gc
import os
import signal
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from uvicorn_worker import UvicornWorker

from windlass.api.app import build_app
from windlass.api.bootstrap import create_system_namespaces
from windlass.api.config import ApiConfig
from windlass.api.protocols import PeerCertificateProtocol, PeerCertificateWebSocketProtocol
from windlass.apimachinery.scheme import Scheme
from windlass.clock import SystemClock
from windlass.config import load_config
from windlass.errors import ConfigError, StoreUnavailableError
from windlass.logs import configure_logging, get_logger
from windlass.plugin.manager import PluginManager
from windlass.store.interface import Store
from windlass.store.watchcache import WatchCache

GRACE_SECONDS = 2
KEEP_ALIVE_SECONDS = 75
RETRY_SECONDS = 0.5
PROCESS = "apiserver"
PR_SET_PDEATHSIG = 1
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the command line says. `bind` is host:port; certificates are those of DATA_DIR/pki."""

    data_dir: Path
    store: str
    bind: str
    workers: int = 1
    config: Path | None = None
    token_file: Path | None = None
    log_level: str = "info"


def die_with_parent(arbiter: Any, _worker: Any) -> None:
    """Have the kernel end a worker whose arbiter has been killed, so that it does not go on holding the port."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != arbiter.pid:
        os._exit(1)


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped library
    """uvicorn's worker with our protocols."""

    CONFIG_KWARGS: Mapping[str, Any] = {
        "loop": "uvloop",
        "http": PeerCertificateProtocol,
        "ws": PeerCertificateWebSocketProtocol,
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }


class Server(BaseApplication):  # type: ignore[misc]  # untyped library
    """gunicorn's application: configured here, loaded in each worker."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings."""
        pki = self._options.data_dir / "pki"
        settings = {
            "bind": self._options.bind,
            "workers": self._options.workers,
            "worker_class": "windlass.api.server.Worker",
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": GRACE_SECONDS + 3,
            "timeout": 60,
            "umask": 0o077,
            "loglevel": "warning",
            "certfile": str(pki / "apiserver.crt"),
            "keyfile": str(pki / "apiserver.key"),
            "ca_certs": str(pki / "ca.crt"),
            "cert_reqs": ssl.CERT_OPTIONAL,
            "proc_name": "windlass-apiserver",
            "post_fork": die_with_parent,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)
        if "control_socket_disable" in self.cfg.settings:
            self.cfg.set("control_socket_disable", True)

    def load(self) -> Any:
        """Build the application, in a worker."""
        return build_server(self._options)


def build_server(options: ServerOptions) -> Any:
    """Build store, cache and application from plugins. Raises ConfigError or PluginError."""
    configure_logging(options.log_level)
    plugins = PluginManager(load_config(options.config).plugins)
    plugins.load()
    plugins.check()
    clock = SystemClock()
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
    app = build_app(
        scheme=scheme,
        store=store,
        cache=cache,
        authenticators=_built(plugins, "register_authenticators", {"token_file": options.token_file}),
        authorizers=_built(plugins, "register_authorizers", {}),
        admission=_built(plugins, "register_admission_plugins", {}),
        clock=clock,
        plugins=plugins.inventory,
        config=ApiConfig(
            agent_certificate=str(pki / "apiserver-kubelet-client.crt"),
            agent_key=str(pki / "apiserver-kubelet-client.key"),
            agent_ca=str(pki / "ca.crt"),
            host=host,
            port=int(port),
        ),
    )
    app.add_middleware(Lifespan(store, cache, clock, plugins))
    return app


def _built(plugins: PluginManager, hook: str, config: Mapping[str, Any]) -> Sequence[Any]:
    """Build every driver of a hook, in the order of registration; one that is not configured is None and left out."""
    built = [owned.value.build({**plugins.section(owned.owner), **config}) for owned in plugins.drivers(hook).values()]
    return [driver for driver in built if driver is not None]


def calm_collector() -> None:
    """Collect cycles rarely: the cache holds many long-lived objects, and a full collection stops every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


class Lifespan:
    """Runs store and cache as long as the application lives. A store that is away is waited for, not fatal."""

    def __init__(self, store: Store, cache: WatchCache, clock: SystemClock, plugins: PluginManager) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._plugins = plugins
        self._task: asyncio.Task[None] | None = None

    async def process_startup(self, _scope: Mapping[str, Any], _event: Mapping[str, Any]) -> None:
        """Begin, when the server is about to take requests."""
        calm_collector()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._plugins.notify("on_startup", process=PROCESS)

    async def process_shutdown(self, _scope: Mapping[str, Any], _event: Mapping[str, Any]) -> None:
        """End, when the last request has been answered."""
        self._plugins.notify("on_shutdown", process=PROCESS)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._store.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._store.start()
                await create_system_namespaces(self._store, self._clock)
                break
            except StoreUnavailableError as error:
                log.warning("store_not_ready_yet", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
        await self._cache.run()


def serve(options: ServerOptions) -> None:
    """Serve until a signal. Raises ConfigError for options that cannot be served."""
    scheme = options.store.partition("://")[0]
    if scheme == "memory" and options.workers > 1:
        raise ConfigError("the memory store lives in one process: use --workers 1, or another store")
    for name in ("apiserver.crt", "apiserver.key", "ca.crt"):
        if not (options.data_dir / "pki" / name).exists():
            raise ConfigError(f"{options.data_dir / 'pki' / name} is missing; `windlass up` makes it")
    Server(options).run()
