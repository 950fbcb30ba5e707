"""Registers the built-in stores, by the same road as a third party's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.errors import ConfigError
from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration
from windlass.store.interface import Store


def _memory(_config: Mapping[str, Any]) -> Store:
    from windlass.store.memory import MemoryStore  # noqa: PLC0415 - a process pays only for the store that it opens

    return MemoryStore()


def _sqlite(config: Mapping[str, Any]) -> Store:
    from windlass.store.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(Path(config["data_dir"]) / "state.db", shared=int(config.get("workers", 1)) > 1)


def _zookeeper(config: Mapping[str, Any]) -> Store:
    from windlass.store.zookeeper import ZooKeeperStore  # noqa: PLC0415
    from windlass.store.zookeeper.settings import ZooKeeperSettings  # noqa: PLC0415
    from windlass.store.zookeeper.url import parse_url  # noqa: PLC0415

    hosts, credentials = parse_url(config["url"], Path(config["data_dir"]))
    try:
        settings = ZooKeeperSettings(**config.get("zookeeper", {}))
    except TypeError as error:
        raise ConfigError(f"settings of the zookeeper store: {error}") from error
    return ZooKeeperStore(hosts, credentials, settings=settings)


@hookimpl
def register_stores() -> Sequence[DriverRegistration]:
    """Hand out the stores by URL scheme."""
    return (
        DriverRegistration("memory", _memory, "in memory: one process, nothing kept"),
        DriverRegistration("sqlite", _sqlite, "one file on this machine"),
        DriverRegistration("zookeeper", _zookeeper, "replicated: zookeeper://[user:password@]host:port,.../chroot"),
    )
