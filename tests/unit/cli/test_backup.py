"""`windlass backup` and `windlass restore` over SQLite."""

import asyncio
import stat

import orjson
import pytest
from click.testing import CliRunner

from windlass.cli.datadir import DataDir
from windlass.cli.main import cli
from windlass.cli.processes import ProcessTable
from windlass.errors import BackupError, ConfigError
from windlass.store.sqlite import SqliteStore


def run(*arguments):
    result = CliRunner().invoke(cli, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def in_store(root, work):
    async def opened():
        store = SqliteStore(root / "state.db")
        await store.start()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


@pytest.fixture
def filled(tmp_path):
    async def fill(store):
        for number in range(3):
            await store.create(f"core/secrets/ns/s{number}", orjson.dumps({"metadata": {"name": f"s{number}"}}))

    in_store(tmp_path / "old", fill)
    return tmp_path / "old"


def keys(root):
    async def read(store):
        return [one.key for one in (await store.list("")).items]

    return in_store(root, read)


def test_there_and_back(filled, tmp_path):
    file = tmp_path / "all.backup"
    told = run("backup", file, "--data-dir", filled).output
    assert "3 objects at revision 3" in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"all.backup", "old"}
    told = run("restore", file, "--data-dir", tmp_path / "new").output
    assert told.startswith("restored 3 objects at revision 3")
    assert keys(tmp_path / "new") == keys(filled)
    with pytest.raises(BackupError, match="--force"):
        run("restore", file, "--data-dir", tmp_path / "new")
    run("restore", file, "--data-dir", tmp_path / "new", "--force")


def test_a_failed_backup_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match="no cluster in"):
        run("backup", tmp_path / "f", "--data-dir", tmp_path / "none")
    with pytest.raises(ConfigError, match="memory store"):
        run("backup", tmp_path / "f", "--store", "memory", "--data-dir", tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_restore_under_a_running_server(filled, tmp_path):
    run("backup", tmp_path / "f", "--data-dir", filled)
    data_dir = DataDir(filled)
    data_dir.prepare()
    processes = ProcessTable(data_dir.run, data_dir.logs)
    processes.start("apiserver", ["sleep", "600"])
    try:
        with pytest.raises(ConfigError, match="the API server runs"):
            run("restore", tmp_path / "f", "--force", "--data-dir", filled)
    finally:
        processes.stop("apiserver", 5)
