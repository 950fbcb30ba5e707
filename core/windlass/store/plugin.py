"""Registers the built-in stores, by the same road as a third party's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration
from windlass.store.interface import Store


def _memory(_config: Mapping[str, Any]) -> Store:
    from windlass.store.memory import MemoryStore  # noqa: PLC0415 - a process pays only for the store that it opens

    return MemoryStore()


def _sqlite(config: Mapping[str, Any]) -> Store:
    from windlass.store.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(Path(config["data_dir"]) / "state.db", shared=int(config.get("workers", 1)) > 1)


@hookimpl
def register_stores() -> Sequence[DriverRegistration]:
    """Hand out the stores by URL scheme."""
    return (
        DriverRegistration("memory", _memory, "in memory: one process, nothing kept"),
        DriverRegistration("sqlite", _sqlite, "one file on this machine"),
    )
