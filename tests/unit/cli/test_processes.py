"""Only processes that we started are ever signalled, and their files are private (S57)."""

import json
import stat
import sys

import pytest

from windlass.cli.processes import ProcessRecord, ProcessTable

SLEEPER = [sys.executable, "-c", "import sys, signal; print('up', flush=True); signal.pause()"]


@pytest.fixture
def table(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "logs").mkdir()
    table = ProcessTable(tmp_path / "run", tmp_path / "logs")
    yield table
    for record in table.all():
        record.stop(0)


def test_start_is_idempotent_and_stop_ends_it(table):
    first = table.start("a", SLEEPER)
    assert first.running
    assert table.start("a", SLEEPER) == first
    table.stop("a", 10)
    assert not first.running
    assert table.get("a") is None


def test_a_reused_pid_is_not_ours(table):
    record = table.start("a", SLEEPER)
    stranger = ProcessRecord("b", record.pid, record.start_ticks + 1)
    assert not stranger.running
    assert stranger.stop(0)
    assert record.running


def test_a_damaged_record_is_no_record(table, tmp_path):
    (tmp_path / "run" / "x.json").write_text("{")
    assert table.all() == []


def test_logs_are_private(table):
    table.start("a", SLEEPER)
    assert stat.S_IMODE(table.log_path("a").stat().st_mode) == 0o600


def test_records_say_what_was_started(table, tmp_path):
    table.start("a", SLEEPER)
    assert json.loads((tmp_path / "run" / "a.json").read_text())["command"] == SLEEPER
