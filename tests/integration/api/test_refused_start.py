"""A server that cannot start says why in one line, and ends with exit code 1."""

import socket
import subprocess
import sys

import pytest

from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = DataDir(tmp_path_factory.mktemp("refused") / "d")
    data_dir.prepare()
    issue_identities(data_dir, Cluster("sqlite", "hollow", 1, "one", "127.0.0.1", "10.244.0.0/24"))
    return data_dir


def start(data_dir, *options):
    command = [sys.executable, "-m", "windlass.cli", "apiserver", "--data-dir", str(data_dir.root), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--store", "etcd://x"], "windlass: register_stores: no driver named 'etcd'"),
        (["--token-file", "/nonexistent/tokens"], "windlass: token file /nonexistent/tokens: No such file"),
        (["--store", "memory", "--workers", "2"], "windlass: the memory store lives in one process"),
    ],
)
def test_a_refused_start_is_one_line(data_dir, options, said):
    ended = start(data_dir, "--bind", "127.0.0.1:0", *options)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1


def test_an_address_that_is_taken_is_named_once(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = start(data_dir, "--bind", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert (
        ended.stderr == f"windlass: cannot listen on 127.0.0.1:{port}: the address is in use, or not this machine's\n"
    )
