"""Files that change all at once: contents, modes, symlinks, interrupted writes, paths that lead away."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import VolumeDriverError
from windlass_storage import atomic_writer
from windlass_storage.atomic_writer import FileContent, check_path, write

NAME = st.text("abc.", min_size=1, max_size=4)
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
PAYLOAD = st.dictionaries(
    PATH, st.builds(FileContent, st.binary(max_size=20), st.sampled_from([0o400, 0o644, 0o755])), max_size=5
)


def names(path):
    return [entry.name for entry in Path(path).iterdir()]


def goal(path):
    return str(path.readlink())


def files(top):
    """What a reader sees: path to (bytes, mode)."""
    found = {}
    for name in names(top):
        if name.startswith(".."):
            continue
        shown = Path(top) / name
        assert shown.is_symlink()
        paths = (
            [Path(p) / n for p, _, found_files in os.walk(shown) for n in found_files] if shown.is_dir() else [shown]
        )
        found.update({str(p.relative_to(top)): FileContent(p.read_bytes(), p.stat().st_mode & 0o777) for p in paths})
    return found


def simple(**values):
    return {key: FileContent(value.encode(), 0o644) for key, value in values.items()}


def test_the_layout_is_the_kubelets(tmp_path):
    write(str(tmp_path), {"a/b": FileContent(b"x", 0o400), "c": FileContent(b"y", 0o644)})
    version = goal(tmp_path / "..data")
    assert version.startswith("..20")
    assert goal(tmp_path / "a") == "..data/a"
    assert sorted(names(tmp_path)) == sorted(["..data", version, "a", "c"])
    assert files(tmp_path) == {"a/b": FileContent(b"x", 0o400), "c": FileContent(b"y", 0o644)}


def test_the_same_payload_is_not_written_again(tmp_path):
    assert write(str(tmp_path), simple(a="1"))
    version = goal(tmp_path / "..data")
    assert not write(str(tmp_path), simple(a="1"))
    assert goal(tmp_path / "..data") == version
    assert write(str(tmp_path), {"a": FileContent(b"1", 0o600)})


def test_a_reader_in_the_old_version_keeps_its_files_until_it_lets_go(tmp_path):
    write(str(tmp_path), simple(a="1"))
    with open(tmp_path / "a") as old:
        write(str(tmp_path), simple(a="2", b="3"))
        assert old.read() == "1"
    assert files(tmp_path) == simple(a="2", b="3")
    write(str(tmp_path), {})
    assert files(tmp_path) == {}


@pytest.mark.parametrize("step", ["_fill", "_swap", "_link", "_clean_up"])
def test_an_interrupted_write_shows_one_version_and_the_next_tidies_up(tmp_path, monkeypatch, step):
    write(str(tmp_path), simple(a="1", b="1"))

    def fail(*_args):
        raise OSError("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(atomic_writer, step, fail)
        with pytest.raises(OSError, match="interrupted"):
            write(str(tmp_path), simple(a="2", b="2"))
    seen = {content.data for content in files(tmp_path).values()}
    assert len(seen) == 1
    write(str(tmp_path), simple(a="3"))
    assert files(tmp_path) == simple(a="3")
    assert len(names(tmp_path)) == 3


def test_what_another_killed_writer_left_is_removed(tmp_path):
    write(str(tmp_path), simple(a="1"))
    (tmp_path / "..2020_01_01_00_00_00.x").mkdir()
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    write(str(tmp_path), simple(a="2"))
    assert files(tmp_path) == simple(a="2")
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../up", "a/../../b", "..", "..x", "a//b", "./a", "a/.", "a\0b", "x" * 256, "a/" * 3000 + "b"],
)
def test_paths_that_lead_away_are_refused(tmp_path, path):
    with pytest.raises(VolumeDriverError):
        write(str(tmp_path), {path: FileContent(b"x", 0o644)})
    assert names(tmp_path) == []


def test_paths_in_each_others_way_are_refused_and_leave_the_old_version(tmp_path):
    write(str(tmp_path), simple(a="1"))
    with pytest.raises(VolumeDriverError, match="in the way"):
        write(str(tmp_path), {"b": FileContent(b"x", 0o644), "b/c": FileContent(b"y", 0o644)})
    assert files(tmp_path) == simple(a="1")
    assert len(names(tmp_path)) == 3


def test_the_owner_is_set_before_anybody_sees_the_version(tmp_path):
    shown = []
    write(str(tmp_path), simple(a="1"), prepare=lambda _: shown.append(os.path.lexists(tmp_path / "..data")))
    assert shown == [False]


@given(st.lists(PAYLOAD, min_size=1, max_size=4))
def test_any_sequence_of_payloads_shows_the_last_good_one(payloads):
    with tempfile.TemporaryDirectory() as parent:
        top, last = Path(parent) / "v", {}
        top.mkdir()
        for payload in payloads:
            try:
                write(str(top), payload)
                last = payload
            except VolumeDriverError:
                pass
            assert files(top) == last
        assert [p.name for p in Path(parent).iterdir()] == ["v"]


@given(st.text(max_size=30))
def test_an_accepted_path_stays_inside(path):
    try:
        check_path(path)
    except VolumeDriverError:
        return
    assert os.path.normpath("/top/" + path).startswith("/top/")
    assert os.path.normpath(path) == path
