"""The built-in stores are registered, and built from what a URL says."""

import pytest

from windlass.errors import ConfigError
from windlass.store.memory import MemoryStore
from windlass.store.plugin import register_stores
from windlass.store.sqlite import SqliteStore
from windlass.store.zookeeper import ZooKeeperStore


def build(scheme, tmp_path, url="", **more):
    registrations = {registration.name: registration for registration in register_stores()}
    return registrations[scheme].build({"url": url, "data_dir": str(tmp_path), **more})


def test_register_stores_builds_each(tmp_path):
    assert isinstance(build("memory", tmp_path), MemoryStore)
    assert isinstance(build("sqlite", tmp_path), SqliteStore)
    assert isinstance(build("zookeeper", tmp_path, "zookeeper://127.0.0.1:1/x"), ZooKeeperStore)


def test_the_sqlite_file_is_its_owners_alone(tmp_path):
    """S57."""
    store = build("sqlite", tmp_path)

    async def use():
        await store.start()
        await store.create("a/b/c/d", b"{}")
        modes = [path.stat().st_mode & 0o077 for path in tmp_path.glob("state.db*")]
        await store.close()
        return modes

    import asyncio

    modes = asyncio.run(use())
    assert len(modes) == 3
    assert not any(modes)


@pytest.mark.parametrize("url", ["zookeeper://", "zookeeper:///x", "zookeeper://h:1/../x y"])
def test_impossible_urls_are_refused(tmp_path, url):
    with pytest.raises(ConfigError):
        build("zookeeper", tmp_path, url)


def test_unknown_settings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="sesion"):
        build("zookeeper", tmp_path, "zookeeper://127.0.0.1:1/x", zookeeper={"sesion_timeout_seconds": 3})
