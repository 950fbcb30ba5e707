"""`windlass backup` and `windlass restore`."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.options import config_option, data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.clock import SystemClock
from windlass.config import load_config
from windlass.errors import ConfigError
from windlass.plugin.manager import PluginManager
from windlass.store.backup_format import Summary
from windlass.store.interface import Store

T = TypeVar("T")
STORE_HELP = "sqlite, or zookeeper://host:port,.../chroot  [default: the cluster's own]"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--store", default="", help=STORE_HELP)
@data_dir_option
@config_option
def backup(file: Path, store: str, data_dir: DataDir, config_path: Path | None) -> None:
    """Write everything in the cluster's store to FILE, as of one moment, while the cluster runs.

    FILE holds Secrets in the clear and is readable by you alone. Keys and certificates in DATA_DIR/pki are not in it.
    """
    from windlass.store.transfer import back_up  # noqa: PLC0415 - other commands start faster without

    if not store and Cluster.load(data_dir) is None and not (data_dir.root / "state.db").exists():
        raise ConfigError(f"no cluster in {data_dir.root}; say with --store which store is meant")
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as opened:
            summary = _with_store(store, data_dir, config_path, lambda found: back_up(found, opened, SystemClock()))
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    click.echo(f"{file}: {_told(summary)}, {file.stat().st_size} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--store", default="", help=STORE_HELP)
@click.option("--force", is_flag=True, help="Put the backup in the place of everything in a store that is not empty.")
@data_dir_option
@config_option
def restore(file: Path, store: str, force: bool, data_dir: DataDir, config_path: Path | None) -> None:  # noqa: FBT001
    """Put the backup FILE into a store that no API server has open. Containers that run meanwhile are kept if they fit."""
    from windlass.store.transfer import restore as put_back  # noqa: PLC0415

    server = ProcessTable(data_dir.run, data_dir.logs).get("apiserver")
    if server is not None and server.running:
        raise ConfigError(f"the API server runs, pid {server.pid}: stop it first, and every other one of this store")
    data_dir.prepare()
    with file.open("rb") as opened:
        summary = _with_store(store, data_dir, config_path, lambda found: put_back(found, opened, force=force))
    click.echo(f"restored {_told(summary)}; start the cluster with `windlass up`")


def _told(summary: Summary) -> str:
    changes = f" and {summary.changes} changes" if summary.changes else ""
    return f"{summary.objects} objects{changes} at revision {summary.revision}, made {summary.made}"


def _with_store(
    store: str, data_dir: DataDir, config_path: Path | None, work: Callable[[Store], Awaitable[T]]
) -> T:
    """Open the store by the road of the API server, work, and close it."""
    cluster = Cluster.load(data_dir)
    url = store or (cluster.store if cluster else "sqlite")
    scheme = url.partition("://")[0]
    if scheme == "memory":
        raise ConfigError("the memory store lives in its API server alone: it cannot be backed up or restored")
    plugins = PluginManager(load_config(config_path).plugins)
    plugins.load()
    plugins.check()
    # More than one worker: the API server commits to the same file.
    config = {"url": url, "data_dir": str(data_dir.root), "workers": 2}

    async def run() -> T:
        opened: Store = plugins.driver("register_stores", scheme, config)
        await opened.start()
        try:
            return await work(opened)
        finally:
            await opened.close()

    return asyncio.run(run())
