"""Figures from cgroup files."""

import os

from windlass_runtime.usage import Usage, parse_cgroups, parse_stat, read_usage, tree_bytes

V1 = "4:memory:/a/b\n3:cpu,cpuacct:/a\n2:pids:/p\n1:name=systemd:/\n0::/u\n"


def test_parsing():
    assert parse_cgroups(V1)["cpuacct"] == "/a"
    assert parse_cgroups("0::/x:y\n") == {"": "/x:y"}
    assert parse_stat("anon 5\nbad\nname text\n") == {"anon": 5}


def put(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_version_1(tmp_path):
    put(tmp_path, "proc/7/cgroup", V1)
    put(tmp_path, "memory/a/b/memory.usage_in_bytes", "1000\n")
    put(tmp_path, "memory/a/b/memory.stat", "total_inactive_file 300\ntotal_rss 500\n")
    put(tmp_path, "cpuacct/a/cpuacct.usage", "42\n")
    put(tmp_path, "pids/p/pids.current", "3\n")
    assert read_usage(7, root=tmp_path, proc=tmp_path / "proc") == Usage(42, 1000, 700, 500, 3)


def test_version_2(tmp_path):
    put(tmp_path, "proc/7/cgroup", "0::/u\n")
    put(tmp_path, "u/memory.current", "1000\n")
    put(tmp_path, "u/memory.stat", "inactive_file 1300\nanon 500\n")
    put(tmp_path, "u/cpu.stat", "usage_usec 9\nuser_usec 1\n")
    assert read_usage(7, root=tmp_path, proc=tmp_path / "proc") == Usage(9000, 1000, 0, 500, 0)


def test_a_process_that_has_gone(tmp_path):
    assert read_usage(7, root=tmp_path, proc=tmp_path) is None


def test_linked_files_count_once(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 10_000)
    single = tree_bytes(tmp_path)
    os.link(tmp_path / "one", tmp_path / "two")
    assert tree_bytes(tmp_path) == single > 0
    assert tree_bytes(tmp_path / "none") == 0
