"""What serves: one worker process of the API server."""

import gc
import logging
from collections.abc import Mapping
from typing import Any

from uvicorn_worker import UvicornWorker

from windlass.api.composition import compose
from windlass.api.protocols import PeerCertificateProtocol
from windlass.api.server import GRACE_SECONDS, ServerOptions
from windlass.clock import SystemClock
from windlass.config import load_config
from windlass.logs import configure_logging
from windlass.plugin.manager import PluginManager
from windlass.websocket import SETTINGS, PeerWebSocketProtocol


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped library
    """uvicorn's worker with our protocols."""

    CONFIG_KWARGS: Mapping[str, Any] = {
        "loop": "uvloop",
        "http": PeerCertificateProtocol,
        "ws": PeerWebSocketProtocol,
        **SETTINGS,
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn's own words go the way of ours, one structured record per line, not through gunicorn's format.
        server = logging.getLogger("uvicorn.error")
        server.handlers = []
        server.propagate = True


def build_server(options: ServerOptions) -> Any:
    """Build the application that this worker serves. Raises ConfigError or PluginError."""
    configure_logging(options.log_level)
    plugins = PluginManager(load_config(options.config).plugins)
    plugins.load()
    plugins.check()
    return compose(options, plugins, SystemClock(), on_startup=calm_collector)


def calm_collector() -> None:
    """Collect cycles rarely: the cache holds many long-lived objects, and a full collection stops every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
