"""Mounts found, made and undone; trees owned and removed without following anything out of them."""

import os
from pathlib import Path

import pytest

from windlass.plugin.hostfs import mounts, trees

pytestmark = pytest.mark.root

INFO = r"""22 1 0:20 / /sys rw - sysfs sysfs rw
30 1 8:1 /x /a\040b\134c rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
31 1 0:40 / /pods/uid rw - tmpfs tmpfs rw,size=4k
"""


def test_mountinfo_is_read_with_its_escapes():
    points = mounts.mount_points(INFO)
    assert [(m.path, m.kind) for m in points] == [("/sys", "sysfs"), ("/a b\\c", "ext4"), ("/pods/uid", "tmpfs")]


@pytest.mark.parametrize("name", ["plain", "with space", "tab\tand\\040slash", "line\nbreak"])
def test_mounts_are_found_whatever_their_name(tmp_path, name):
    target = tmp_path / name
    target.mkdir()
    mounts.mount_tmpfs(str(target))
    try:
        assert [m.path for m in mounts.mounts_at_or_below(str(tmp_path))] == [str(target)]
        assert mounts.mounted_kind(str(target)) == "tmpfs"
        assert mounts.mounts_at_or_below(str(tmp_path / name[:-1])) == []
    finally:
        mounts.unmount_all(str(tmp_path))
    assert mounts.mounted_kind(str(target)) == ""


def test_nested_mounts_are_undone_from_the_inside(tmp_path):
    outer = tmp_path / "with space"
    outer.mkdir()
    mounts.mount_tmpfs(str(outer), size_bytes=1 << 20)
    (outer / "inner").mkdir()
    mounts.mount_tmpfs(str(outer / "inner"))
    mounts.mount_tmpfs(str(outer / "inner"))
    assert mounts.mounted_kind(str(outer)) == "tmpfs"
    assert len(mounts.mounts_at_or_below(str(outer))) == 3
    mounts.unmount_all(str(outer))
    mounts.unmount_all(str(outer))
    assert mounts.mounts_at_or_below(str(outer)) == []


def test_a_busy_mount_is_an_error_and_its_tree_stays(tmp_path):
    target = tmp_path / "v"
    target.mkdir()
    mounts.mount_tmpfs(str(target))
    with open(target / "f", "w"):
        with pytest.raises(OSError):
            trees.remove(str(target))
        assert (target / "f").exists()
    trees.remove(str(target))
    trees.remove(str(target))
    assert not target.exists()


def test_removing_never_follows(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("kept")
    (tmp_path / "v").mkdir()
    (tmp_path / "v/link").symlink_to(tmp_path / "outside")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    trees.remove(str(tmp_path / "v"))
    trees.remove(str(tmp_path / "link"))
    assert [p.name for p in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside/f").read_text() == "kept"


def test_removing_a_bind_of_the_hosts_files_keeps_them(tmp_path):
    (tmp_path / "host").mkdir()
    (tmp_path / "host/f").write_text("kept")
    (tmp_path / "v/sub").mkdir(parents=True)
    mounts.bind(str(tmp_path / "host"), str(tmp_path / "v/sub"))
    trees.remove(str(tmp_path / "v"))
    assert (tmp_path / "host/f").read_text() == "kept"


def bits(path):
    found = Path(path).stat()
    return found.st_mode & 0o7777, found.st_gid


@pytest.mark.parametrize(("readonly", "file", "directory"), [(False, 0o660, 0o2770), (True, 0o640, 0o2750)])
def test_a_group_gets_a_tree(tmp_path, readonly, file, directory):
    (tmp_path / "v/d").mkdir(parents=True)
    (tmp_path / "v/d/f").write_text("")
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (tmp_path / "v/away").symlink_to(outside)
    for path, mode in (("v", 0o700), ("v/d", 0o700), ("v/d/f", 0o600)):
        (tmp_path / path).chmod(mode)
    trees.give_to_group(str(tmp_path / "v"), 4242, readonly=readonly)
    assert bits(tmp_path / "v/d/f") == (file, 4242)
    assert bits(tmp_path / "v/d") == bits(tmp_path / "v") == (directory, 4242)
    assert bits(outside) == (0o600, os.getgid())


def test_a_tree_whose_top_is_right_is_left_alone(tmp_path):
    (tmp_path / "f").write_text("")
    trees.give_to_group(str(tmp_path), 4242)
    (tmp_path / "f").chmod(0o600)
    trees.give_to_group(str(tmp_path), 4242, only_on_mismatch=True)
    assert bits(tmp_path / "f")[0] == 0o600
    tmp_path.chmod(0o700)
    trees.give_to_group(str(tmp_path), 4242, only_on_mismatch=True)
    assert bits(tmp_path / "f")[0] == 0o660


def test_measuring_leaves_out_other_file_systems(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "f").write_bytes(os.urandom(100_000))
    before = trees.measure(str(tmp_path))
    mounts.mount_tmpfs(str(tmp_path / "inner"))
    try:
        (tmp_path / "inner/g").write_bytes(os.urandom(1_000_000))
        assert trees.measure(str(tmp_path)).bytes <= before.bytes
    finally:
        mounts.unmount_all(str(tmp_path / "inner"))
