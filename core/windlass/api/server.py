"""`windlass apiserver`: the application under gunicorn, in as many workers as wanted.

This is the arbiter's part. It only watches its workers, so it imports next to nothing: what serves is imported in each
worker, after the fork.
"""

import ctypes
import os
import signal
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.base import Worker as GunicornWorker

from windlass.api.arbiter_log import START_REFUSED, ArbiterLogger, say
from windlass.errors import ConfigError, WindlassError

GRACE_SECONDS = 2
KEEP_ALIVE_SECONDS = 75
PR_SET_PDEATHSIG = 1


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
    service_cidrs: tuple[str, ...] = ("10.96.0.0/12",)
    advertise_address: str = ""


def die_with_parent(arbiter: Any, _worker: Any) -> None:
    """Have the kernel end a worker whose arbiter has been killed, so that it does not go on holding the port."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != arbiter.pid:
        os._exit(1)


class DeferredWorker(GunicornWorker):  # type: ignore[misc]  # untyped library
    """What the arbiter knows of a worker; after the fork it makes way for the real one."""

    def init_process(self) -> None:
        """Serve, in the worker's process, until told to end. What we refuse on purpose is one line and no traceback."""
        from windlass.api.worker import Worker  # noqa: PLC0415 - see above

        worker = Worker(self.age, self.ppid, self.sockets, self.app, self.timeout, self.cfg, self.log)
        worker.pid = self.pid
        worker.tmp.close()
        worker.tmp = self.tmp  # the arbiter looks at this one for signs of life
        try:
            worker.init_process()
        except WindlassError as error:
            say(error)
            sys.exit(START_REFUSED)
        finally:
            self.booted = worker.booted


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
            "worker_class": "windlass.api.server.DeferredWorker",
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": GRACE_SECONDS + 3,
            "timeout": 60,
            "umask": 0o077,
            "loglevel": "warning",
            "logger_class": ArbiterLogger,
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
        from windlass.api.worker import build_server  # noqa: PLC0415 - see above

        return build_server(self._options)


def serve(options: ServerOptions) -> None:
    """Serve until a signal. Raises ConfigError for options that cannot be served."""
    scheme = options.store.partition("://")[0]
    if scheme == "memory" and options.workers > 1:
        raise ConfigError("the memory store lives in one process: use --workers 1, or another store")
    for name in ("apiserver.crt", "apiserver.key", "ca.crt"):
        if not (options.data_dir / "pki" / name).exists():
            raise ConfigError(f"{options.data_dir / 'pki' / name} is missing; `windlass up` makes it")
    arbiter = os.getpid()
    try:
        Server(options).run()
    except SystemExit as end:
        # Workers leave by the same road, and theirs is the code that the arbiter must see.
        sys.exit(1 if end.code == START_REFUSED and os.getpid() == arbiter else end.code)
