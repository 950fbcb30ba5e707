"""Paths beneath a directory that somebody hostile may change meanwhile (N67)."""

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.plugin.hostfs.beneath import OutsideError, make_directories, opened

PART = st.sampled_from(["a", "b", "c", ".", "..", ""])
PATHS = st.lists(PART, min_size=1, max_size=5).map("/".join)
LINKS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "a/b", "b/c"]),
    st.sampled_from(["/", "/etc", "..", "../..", "a", "b/..", "../../../../etc", "."]),
    max_size=4,
)


def real(descriptor):
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "top"


def test_links_inside_are_followed(top):
    (top / "..2026").mkdir()
    (top / "..2026/key").write_text("x")
    (top / "..data").symlink_to("..2026")
    (top / "key").symlink_to("..data/key")
    with opened(str(top), "key") as descriptor:
        assert real(descriptor) == str(top / "..2026/key")
    with opened(str(top)) as descriptor:
        assert real(descriptor) == str(top)


@pytest.mark.parametrize(
    "goal", ["/", "/etc", "..", "../secret", "a/../../secret", "/proc/self/root", "/proc/self/cwd"]
)
def test_links_that_leave_are_refused(top, goal):
    (top / "link").symlink_to(goal)
    for path in ("link", "link/etc", "a/../link"):
        with pytest.raises(OutsideError), opened(str(top), path):
            pass
    with pytest.raises(OSError):
        make_directories(str(top), "link/made")
    assert [p.name for p in top.parent.iterdir() if p.name not in ("top", "secret")] == []


@pytest.mark.parametrize("path", ["..", "../secret", "/etc", "a/../../secret", "a/b/../../../secret"])
def test_paths_that_leave_are_refused(top, path):
    with pytest.raises(OutsideError), opened(str(top), path):
        pass


def test_a_nul_is_refused(top):
    with pytest.raises(OSError), opened(str(top), "a\0b"):
        pass


def test_a_root_that_is_a_file_may_be_opened_whole(top):
    with opened(str(top.parent / "secret")) as descriptor:
        assert real(descriptor).endswith("secret")


@given(LINKS, PATHS)
def test_whatever_is_opened_or_made_is_inside(links, path):
    with tempfile.TemporaryDirectory() as parent:
        top = Path(parent) / "top"
        (top / "d").mkdir(parents=True)
        for name, goal in links.items():
            place = top / name
            if place.parent.is_dir() and place.parent.resolve().is_relative_to(top) and not os.path.lexists(place):
                place.symlink_to(goal)
        try:
            make_directories(str(top), path)
            with opened(str(top), path) as descriptor:
                assert f"{real(descriptor)}/".startswith(f"{top}/")
        except OSError:
            pass
        assert [p.name for p in Path(parent).iterdir()] == ["top"]


def test_directories_are_made_as_the_volume_is(top):
    top.chmod(0o2770)
    os.chown(top, 0, 4242)
    previous = os.umask(0o077)
    try:
        make_directories(str(top), "x/./y//z")
    finally:
        os.umask(previous)
    for path in ("x", "x/y", "x/y/z"):
        found = (top / path).stat()
        assert (found.st_mode & 0o7777, found.st_gid) == (0o2770, 4242)
    make_directories(str(top), "x/y/z")


def test_a_file_in_the_way_is_an_error(top):
    (top / "f").write_text("")
    with pytest.raises(OSError):
        make_directories(str(top), "f/x")


def test_n67_a_thousand_looks_while_somebody_swaps(top):
    """N67: a directory and a symlink to / take turns under the same name; nothing outside is ever opened or made."""
    (top / "real").mkdir()
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for step in (
                lambda: (top / "real").rename(top / "sub"),
                lambda: (top / "sub").rename(top / "real"),
                lambda: (top / "sub").symlink_to("/"),
                (top / "sub").unlink,
            ):
                try:
                    step()
                except OSError:
                    continue

    thread = threading.Thread(target=swap)
    thread.start()
    inside, refused = 0, 0
    try:
        for _ in range(1000):
            try:
                make_directories(str(top), "sub/made-by-n67")
                with opened(str(top), "sub/made-by-n67") as descriptor:
                    assert real(descriptor).startswith(str(top))
                    inside += 1
            except OSError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert inside + refused == 1000
    assert not Path("/made-by-n67").exists()
